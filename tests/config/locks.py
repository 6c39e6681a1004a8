"""What a migration's SQL would do to an installation that runs: held against the tables that were there before it.

The rules are PostgreSQL's (its manual, "Explicit Locking" and "ALTER TABLE", Notes): what reads or writes a whole table
while others wait is refused, and what the code that still runs cannot live with.
"""

import re
from collections.abc import Iterator

import sqlparse

NAME = r'(?:ONLY )?(?:IF EXISTS )?(?:ONLY )?(?:"?public"?\.)?"?(\w+)"?'
VOLATILE = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|timeofday|random|gen_random_uuid|uuidv4|uuidv7|nextval)\s*\("
    r"|\b(BIG|SMALL)?SERIAL\b|GENERATED\s+(ALWAYS|BY\s+DEFAULT)\s+AS",
    re.I,
)
# Of these there are as many rows as staff have made; nobody waits long for them.
SMALL = frozenset(
    {
        *("pricing_plan", "pricing_planversion", "pricing_rate", "pricing_fee", "pricing_productitem"),
        *(
            "pricing_promotion",
            "pricing_taxrate",
            "pricing_assignmentrule",
            "meters_meter",
            "meters_apikey",
            "meters_heartbeat",
        ),
        *("invoices_billingpolicy", "invoices_planbillingpolicy", "invoices_brand", "invoices_mailsetting"),
        *("invoices_webhookendpoint", "invoices_auditrun", "portal_portalpolicy"),
    }
)


def statements(sql: list[str]) -> Iterator[str]:
    """One at a time, without comments, the blanks between words one each."""
    for block in sql:
        for statement in sqlparse.split(sqlparse.format(block, strip_comments=True)):
            if plain := " ".join(statement.split()).rstrip("; "):
                yield plain


def faults(sql: list[str], *, atomic: bool = True) -> list[str]:
    """What is wrong with the SQL of one migration; nothing, where it can run beside everything else."""
    found: list[str] = []
    made: set[str] = set()
    defaults: set[tuple[str, str]] = set()
    not_valid = False
    # Django's own remark where there is Python.
    found += ["what it does cannot be read: RunPython" for block in sql if "CANNOT BE WRITTEN AS SQL" in block]
    for one in statements(sql):
        if match := re.match(rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?{NAME}", one, re.I):
            made.add(match[1])
            if re.search(r"\bPARTITION OF\b", one, re.I):
                found.append(f"a partition that is not attached waits for everybody: {one[:100]}")
            continue
        found += [f"{fault}: {one[:100]}" for fault in _faults(one, made, atomic)]
        if re.search(r"\bNOT VALID\b", one, re.I):
            not_valid = True
        if atomic and not_valid and re.search(r"\bVALIDATE CONSTRAINT\b", one, re.I):
            found.append(f"a check of all rows, under the lock of what was added before it: {one[:100]}")
        for table, column, rest in _added(one):
            if table not in made and re.search(r"\bNOT NULL\b", rest, re.I):
                defaults.add((table, column))
        match = re.match(rf'ALTER TABLE {NAME} ALTER COLUMN "?(\w+)"? DROP DEFAULT', one, re.I)
        if match and (match[1], match[2]) in defaults:
            found.append(f"code that does not know {match[2]} cannot store rows any more (db_default): {one[:100]}")
    return found


def _faults(one: str, made: set[str], atomic: bool) -> Iterator[str]:
    yield from _of_an_index(one, made, atomic)
    if match := re.match(rf"ALTER TABLE {NAME} (.*)", one, re.I):
        table, change = match[1], match[2]
        if table not in made:
            yield from _of_a_change(table, change)
    for verb in (r"UPDATE", r"DELETE FROM", r"INSERT INTO", r"TRUNCATE(?: TABLE)?", r"LOCK(?: TABLE)?", r"CLUSTER"):
        if (match := re.match(rf"{verb} {NAME}", one, re.I)) and match[1] not in made | SMALL:
            yield "rows of a table that grows, or all of it, held in one go"
    if re.match(r"VACUUM|REFRESH MATERIALIZED|REINDEX (?!.*CONCURRENTLY)", one, re.I):
        yield "a table rewritten while others wait"
    if (match := re.match(rf"DROP TABLE {NAME}", one, re.I)) and match[1] not in made:
        yield "code that still runs uses it"
    if re.match(r"DO\b|CALL\b|SELECT\b|WITH\b|EXECUTE\b|--", one, re.I):
        yield "what it does cannot be read"


def _of_an_index(one: str, made: set[str], atomic: bool) -> Iterator[str]:
    named = r'(CONCURRENTLY )?(?:IF NOT EXISTS )?"?\w+"?'
    match = re.match(rf"CREATE (?:UNIQUE )?INDEX {named} ON (ONLY )?{NAME}", one, re.I)
    if match and match[3] not in made | SMALL and not match[2]:
        if not match[1]:
            yield "an index that nobody can write beside"
        elif atomic:
            yield "CONCURRENTLY needs a migration that is not atomic"


def _of_a_change(table: str, change: str) -> Iterator[str]:
    for _, column, rest in _added(f'ALTER TABLE "{table}" {change}'):
        if VOLATILE.search(rest):
            yield f"{column}: a value for each row, so all of it is written anew"
        if re.search(r"\bNOT NULL\b", rest, re.I) and not re.search(r"\bDEFAULT\b", rest, re.I):
            yield f"{column}: no value for the rows that are there"
    if re.search(r"\b(RENAME|DROP COLUMN)\b", change, re.I):
        yield "code that still runs uses it"
    if re.search(r"\bALTER COLUMN \S+ (SET DATA )?TYPE\b", change, re.I) and table not in SMALL:
        yield "all of it is written anew"
    if re.search(r"\bSET NOT NULL\b", change, re.I) and table not in SMALL:
        yield "all rows are looked at while others wait (a NOT VALID check first)"
    constraint = re.search(r"\bADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY|UNIQUE|PRIMARY KEY|EXCLUDE)\b", change, re.I)
    if constraint and table not in SMALL:
        if constraint[2].upper() in ("CHECK", "FOREIGN KEY"):
            if not re.search(r"\bNOT VALID\b", change, re.I):
                yield "all rows are looked at while others wait (NOT VALID, and VALIDATE in a migration of its own)"
        elif not re.search(r"\bUSING INDEX\b", change, re.I):
            yield "an index that nobody can write beside (CONCURRENTLY, and USING INDEX)"
    if re.search(r"\bSET (TABLESPACE|LOGGED|UNLOGGED|ACCESS METHOD|WITHOUT CLUSTER)\b", change, re.I):
        yield "all of it is written anew"


def _added(one: str) -> Iterator[tuple[str, str, str]]:
    """Table, column and what follows, of each column that the statement adds."""
    if match := re.match(rf"ALTER TABLE {NAME} (.*)", one, re.I):
        for part in re.split(r",\s*(?=ADD COLUMN\b)", match[2], flags=re.I):
            if column := re.match(r'ADD COLUMN (?:IF NOT EXISTS )?"?(\w+)"? (.*)', part, re.I):
                yield match[1], column[1], column[2]

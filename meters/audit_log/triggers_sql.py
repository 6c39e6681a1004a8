"""The function that writes changes down, and the triggers that call it."""

from collections.abc import Sequence

from psycopg import sql

from meters.audit_log.log_sql import SETTING
from meters.audit_log.tables import HIDDEN, Watched

FUNCTION = "meters_audit"

# Its arguments are those of `_arguments`. Rows are written at the end of each statement, in its transaction. The moment
# is the database's own, which no process's clock can move.
BODY = f"""
DECLARE
    told text[] := string_to_array(NULLIF(current_setting('{SETTING}', true), ''), E'\\x1f');
    left_out text[] := TG_ARGV[6]::text[];
    row_before jsonb := '{{}}';
    row_now jsonb := '{{}}';
    changed_before jsonb;
    changed_after jsonb;
    hidden text;
    owner_table text := TG_TABLE_NAME;
    owner_id text;
    label text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        row_before := to_jsonb(OLD) - left_out;
        row_now := to_jsonb(NEW) - left_out;
        SELECT jsonb_object_agg(key, value), jsonb_object_agg(key, row_now -> key)
        INTO changed_before, changed_after
        FROM jsonb_each(row_before) WHERE value IS DISTINCT FROM row_now -> key;
        IF changed_before IS NULL THEN
            RETURN NULL;
        END IF;
        IF TG_ARGV[7] <> '{{}}' THEN
            SELECT changed_after || jsonb_object_agg(name, row_now -> name)
            INTO changed_after FROM unnest(TG_ARGV[7]::text[]) AS name;
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        row_now := to_jsonb(NEW) - left_out;
        changed_after := jsonb_strip_nulls(row_now);
    ELSIF TG_OP = 'DELETE' THEN
        row_now := to_jsonb(OLD) - left_out;
        changed_before := jsonb_strip_nulls(row_now);
    END IF;
    FOREACH hidden IN ARRAY TG_ARGV[5]::text[] LOOP
        IF changed_before -> hidden NOT IN ('null', '""') THEN
            changed_before := changed_before || jsonb_build_object(hidden, '{HIDDEN}');
        END IF;
        IF changed_after -> hidden NOT IN ('null', '""') THEN
            changed_after := changed_after || jsonb_build_object(hidden, '{HIDDEN}');
        END IF;
    END LOOP;
    IF TG_OP <> 'TRUNCATE' THEN
        owner_id := row_now ->> TG_ARGV[1];
        IF TG_ARGV[3] <> '' THEN
            EXECUTE format('SELECT %I::text FROM %I WHERE id = $1', TG_ARGV[4], TG_ARGV[3])
            INTO owner_id USING owner_id::bigint;
        END IF;
        IF owner_id IS NULL OR TG_ARGV[2] = '' THEN
            owner_id := row_now ->> TG_ARGV[0];
        ELSE
            owner_table := TG_ARGV[2];
        END IF;
        SELECT left(string_agg(row_now ->> name, ' ' ORDER BY place), 200) INTO label
        FROM unnest(TG_ARGV[8]::text[]) WITH ORDINALITY AS t (name, place);
    END IF;
    INSERT INTO meters_auditrow (
        at, transaction, action, table_name, object_id, label, owner_table, owner_id, before, after,
        who_kind, who_id, who_name, address, request_id
    ) VALUES (
        clock_timestamp(), pg_current_xact_id()::text::bigint, lower(TG_OP), TG_TABLE_NAME,
        COALESCE(row_now ->> TG_ARGV[0], ''), COALESCE(label, ''), owner_table, COALESCE(owner_id, ''),
        changed_before, changed_after,
        COALESCE(told[1], 'database'), COALESCE(told[2], current_setting('application_name'), ''),
        COALESCE(told[3], session_user::text), CASE WHEN told IS NULL THEN inet_client_addr()
        ELSE NULLIF(told[4], '')::inet END, COALESCE(told[5], '')
    );
    RETURN NULL;
END
"""

MAKE_FUNCTION = f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $audit${BODY}$audit$"

# What is there: tables; and of triggers table, name, mark and whether they fire. Use the indexes of the catalogue.
TABLES = """
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname = ANY (%(tables)s)
"""
TRIGGERS = f"""
SELECT c.relname, t.tgname, obj_description(t.oid, 'pg_trigger'), t.tgenabled IN ('O', 'A')
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND t.tgname LIKE '{FUNCTION}\\_%%'
"""
BODY_THERE = f"""
SELECT p.prosrc FROM pg_proc AS p WHERE p.proname = '{FUNCTION}' AND p.pronamespace = current_schema()::regnamespace
"""

# Writers of a table wait while its trigger is made; if it cannot be had soon, nobody is to wait behind us.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"


def triggers_of(one: Watched) -> dict[str, str]:
    """The triggers of a table: by name, all but the name.

    They compare rows as a whole: PostgreSQL lets no migration change the type of a column that a trigger names. Those
    that `inserted` and `updated` name are such; a migration of their type drops the trigger first, and it is made anew.
    """
    table = sql.Identifier(one.table)
    call = sql.SQL("EXECUTE FUNCTION {}({})").format(
        sql.Identifier(FUNCTION), sql.SQL(", ").join(map(sql.Literal, _arguments(one)))
    )
    changed = sql.SQL("{} IS DISTINCT FROM {}").format(*(_row(whose, one) for whose in ("OLD", "NEW")))
    if one.updated:
        changed = sql.SQL("({}) OR ({})").format(changed, sql.SQL(one.updated))
    each = sql.SQL("FOR EACH ROW")
    when = sql.SQL(f"FOR EACH ROW WHEN ({one.inserted})") if one.inserted else each
    made = {
        "insert": ("INSERT", when),
        "update": ("UPDATE", sql.SQL("FOR EACH ROW WHEN ({})").format(changed)),
        "delete": ("DELETE", each),
        "truncate": ("TRUNCATE", sql.SQL("FOR EACH STATEMENT")),
    }
    if not one.added:
        del made["insert"]
    return {
        f"{FUNCTION}_{name}": sql.SQL("AFTER {} ON {} {} {}").format(sql.SQL(what), table, how, call).as_string()
        for name, (what, how) in made.items()
    }


def remove_trigger(table: str, name: str) -> str:
    return sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(name), sql.Identifier(table)).as_string()


def make_trigger(table: str, name: str, text: str, mark: str) -> str:
    return (
        sql.SQL("CREATE OR REPLACE TRIGGER {0} {1}; COMMENT ON TRIGGER {0} ON {2} IS {3}")
        .format(sql.Identifier(name), sql.SQL(text), sql.Identifier(table), sql.Literal(mark))
        .as_string()
    )


def _arguments(one: Watched) -> tuple[str, ...]:
    owner = one.owner
    said = (owner.column, owner.table, owner.through, owner.id_there) if owner else (one.pk, "", "", "")
    return one.pk, *said, *map(_array, (one.hidden, one.left_out, one.said, one.label))


def _array(names: Sequence[str]) -> str:
    return "{" + ",".join(names) + "}"


def _row(whose: str, one: Watched) -> sql.Composable:
    ignored = one.left_out + one.quiet
    if not ignored:
        return sql.SQL(f"{whose}.*")
    return sql.SQL("to_jsonb({}) - {}::text[]").format(sql.SQL(whose), sql.Literal(_array(ignored)))

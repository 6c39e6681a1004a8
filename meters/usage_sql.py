"""The SQL that reads usage. Parameters only; a statement is put together of the pieces that its `Shape` needs, so
that none plans or reads what it does not use, and each shape is one prepared statement.

Names of what is shared: `segment` is the number of the part of the span that a row lies in (meters/segments.py),
`pair` says which windows have which segments, `grp` is the group: the texts of what `group_by` names, in order.
"""

from dataclasses import dataclass
from functools import lru_cache

from meters.verification_sql import MONTHS


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement reads. `scope` is "one" customer, "some" or "all"; `group_by` tells for each name whether it
    is the customer (else a dimension); `conditions` for each condition whether it is one meter's (else of all
    meters); `keep`: other groups are taken together; `apart`: figures of each customer on their own; `single`: the
    whole units are one span, which then is no join that would keep the read of all customers on one core; `edges`:
    there are raw events to read at ragged bounds; `filters`: for each filter that usage is kept apart by, how many
    dimensions it names (None: it is not, and groups have no text for it); `uncut`: no bound lies within the whole
    units; `raw`: values that hold from before are read from events as well; `latest`: a meter asks for the latest
    value, which parts of many customers cannot be put together from where they are on several machines.
    """

    scope: str
    group_by: tuple[bool, ...] = ()
    conditions: tuple[bool, ...] = ()
    keep: bool = False
    apart: bool = False
    single: bool = False
    edges: bool = False
    filters: tuple[int, ...] | None = None
    uncut: bool = False
    raw: bool = False
    latest: bool = False

    @property
    def by_customer(self) -> bool:
        return self.apart or any(self.group_by) or (self.latest and self.scope != "one")

    @property
    def by_set(self) -> bool:
        """Whether dimensions matter."""
        return bool(self.conditions or self.filters) or not all(self.group_by)


@lru_cache(maxsize=512)
def usage(shape: Shape) -> str:
    """Count, sum, least, greatest and latest value by meter, window and group; of one snapshot with the usage
    version that it is exact up to, which is in rows without a window (none: no usage ever).

    Whole hours come from buckets, the edges from raw events. Uses the primary keys of meters_usagebucket and
    meters_usageversion, and meters_event_customer_time.
    """
    raw = f"""
    UNION ALL
    SELECT {_grain(shape, "e")}, {_segment("e.occurred_at")} AS segment,
           count(*) AS count, sum(e.value) AS sum, min(e.value) AS min, max(e.value) AS max,
           {_latest(shape, "e.occurred_at", "e.sequence", "e.value")} AS last
    {_events(shape, "edge")}
    GROUP BY 1, 2, 3, 4"""
    # Of one segment all buckets have its number. Said so, the planner knows that groups are few, and uses all cores.
    unit = "%(whole_first)s::timestamptz" if shape.uncut else "b.hour"
    return f"""
WITH part AS {"MATERIALIZED " if shape.latest else ""}(
    SELECT {_grain(shape, "b")}, {_segment(unit)} AS segment,
           sum(b.count) AS count, sum(b.sum) AS sum, min(b.min) AS min, max(b.max) AS max,
           {_latest(shape, "b.last_at", "b.last_sequence", "b.last")} AS last
    FROM meters_usagebucket AS b {_in_whole_spans(shape, "b.hour", "{}")}
    WHERE {_scope(shape, "b")} AND b.meter_id = ANY(%(meters)s::int[])
      AND b.hour >= %(whole_first)s::timestamptz AND b.hour < %(whole_end)s::timestamptz
    GROUP BY 1, 2, 3, 4{raw if shape.edges else ""}
)
SELECT {_customer(shape, "part")}, pair.w, part.meter_id, {_group(shape)} AS grp,
       sum(part.count)::bigint, sum(part.sum), min(part.min), max(part.max),
       {"(max(part.last))[3]" if shape.latest else "NULL::numeric"},
       NULL::bigint, NULL::timestamptz
FROM part JOIN {_PAIRS} ON pair.segment = part.segment {_names(shape, "part")}
{_where(shape, "part")}
GROUP BY 1, 2, 3, 4
UNION ALL
{_versions(shape)}"""


@lru_cache(maxsize=512)
def versions(shape: Shape) -> str:
    """The last rows of `usage` by themselves. Uses the primary key of meters_usageversion."""
    return _versions(shape)


@lru_cache(maxsize=512)
def distinct(shape: Shape) -> str:
    """How many different values of unique counts, by meter, window and group.

    Whole UTC days come from meters_usagedistinct (its primary key), the edges from raw events
    (meters_event_customer_time).
    """
    raw = f"""
    UNION ALL
    SELECT {_grain(shape, "e")}, {_segment("e.occurred_at")} AS segment, e.distinct_value AS value
    {_events(shape, "edge")} AND e.distinct_value IS NOT NULL"""
    return f"""
WITH seen AS (
    SELECT {_grain(shape, "d")}, {_segment("(d.day::timestamp AT TIME ZONE 'UTC')")} AS segment, d.value
    FROM meters_usagedistinct AS d {_in_whole_spans(shape, "d.day", _DAY)}
    WHERE {_scope(shape, "d")} AND d.meter_id = ANY(%(meters)s::int[])
      AND d.day >= {_DAY.format("%(whole_first)s::timestamptz")}
      AND d.day < {_DAY.format("%(whole_end)s::timestamptz")}{raw if shape.edges else ""}
)
SELECT customer_id, w, meter_id, grp, count(*)
FROM (
    SELECT DISTINCT {_customer(shape, "seen")} AS customer_id, pair.w, seen.meter_id, {_group(shape)} AS grp, seen.value
    FROM seen JOIN {_PAIRS} ON pair.segment = seen.segment {_names(shape, "seen")}
    {_where(shape, "seen")}
) AS different
GROUP BY 1, 2, 3, 4"""


@lru_cache(maxsize=512)
def percentiles(shape: Shape) -> str:
    """Each meter's percentile of the values, and how many there are, by meter, window and group.

    The formula of PostgreSQL's percentile_cont (src/backend/utils/adt/orderedsetaggs.c): of n values in order, with
    p percent, the place 1 + p / 100 x (n - 1) and in between by its fraction; but in `numeric`, which percentile_cont
    does not have. Reads raw events by meters_event_customer_time.
    """
    return f"""
WITH chosen AS (
    SELECT {_customer(shape, "e")} AS customer_id, pair.w, e.meter_id, {_group(shape)} AS grp, e.value
    {_events(shape, "run", f"JOIN {_PAIRS} ON pair.segment = {_segment('e.occurred_at')} {_names(shape, 'e')}")}
      {_where(shape, "e", word="AND")}
),
ranked AS (
    SELECT chosen.*, row_number() OVER (PARTITION BY customer_id, w, meter_id, grp ORDER BY value) AS rank,
           count(*) OVER (PARTITION BY customer_id, w, meter_id, grp) AS n
    FROM chosen
),
placed AS (
    SELECT ranked.*, 1 + p.percentile * 0.01 * (n - 1) AS place
    FROM ranked JOIN unnest(%(meters)s::int[], %(percentiles)s::numeric[]) AS p (meter_id, percentile) USING (meter_id)
)
SELECT customer_id, w, meter_id, grp, n,
       min(value) FILTER (WHERE rank = floor(place)) + (place - floor(place))
       * (min(value) FILTER (WHERE rank = ceil(place)) - min(value) FILTER (WHERE rank = floor(place)))
FROM placed WHERE rank BETWEEN floor(place) AND ceil(place)
GROUP BY customer_id, w, meter_id, grp, n, place"""


@lru_cache(maxsize=512)
def gauge_changes(shape: Shape) -> str:
    """By how much gauges change, by meter, group and segment: the number of events, the sum of the steps and the sum
    of each step times its microseconds after the first bound (meters.aggregation.time_weighted makes areas of them).

    A gauge is one customer's meter and dimension set. Segment 0 is the value that it has before the first bound: what
    its latest hour before that ended with, by the primary key of meters_usagebucket, and the raw events of the hour
    that the bound cuts. Events by meters_event_customer_time.
    """
    return f"""
WITH {_held_by_events(shape) if shape.raw else _held(shape)},
gauge AS (
    SELECT * FROM held
    UNION ALL
    SELECT e.customer_id, e.meter_id, e.dimension_set_id, e.occurred_at, e.sequence, e.value
    FROM meters_event AS e
    WHERE {_scope(shape, "e")} AND e.meter_id = ANY(%(meters)s::int[]) AND e.void_id IS NULL
      AND e.occurred_at >= %(first_hour)s::timestamptz AND e.occurred_at < %(end)s::timestamptz
),
step AS (
    SELECT customer_id, meter_id, dimension_set_id, {_segment("at")} AS segment,
           extract(epoch FROM at - %(first)s::timestamptz) * 1000000 AS microseconds,
           value - lag(value, 1, 0::numeric) OVER (
               PARTITION BY customer_id, meter_id, dimension_set_id ORDER BY at, sequence
           ) AS change
    FROM gauge
)
SELECT {_customer(shape, "step")}, step.meter_id, {_group(shape)} AS grp, step.segment,
       count(*), sum(step.change), sum(step.change * step.microseconds)
FROM step {_names(shape, "step")}
{_where(shape, "step")}
GROUP BY 1, 2, 3, 4"""


@lru_cache(maxsize=512)
def values(shape: Shape) -> str:
    """The values of single events in the order of their time and arrival, as one text with commas, by meter,
    group and segment. Reads raw events by meters_event_customer_time.
    """
    return f"""
SELECT {_customer(shape, "e")}, e.meter_id, {_group(shape)} AS grp, {_segment("e.occurred_at")},
       string_agg(e.value::text, ',' ORDER BY e.occurred_at, e.sequence)
{_events(shape, "run", _names(shape, "e"))}
  {_where(shape, "e", word="AND")}
GROUP BY 1, 2, 3, 4"""


def _held(shape: Shape) -> str:
    return f"""held AS (
    SELECT DISTINCT ON (b.customer_id, b.meter_id, b.dimension_set_id)
           b.customer_id, b.meter_id, b.dimension_set_id, b.last_at AS at, b.last_sequence AS sequence, b.last AS value
    FROM meters_usagebucket AS b
    WHERE {_scope(shape, "b")} AND b.meter_id = ANY(%(meters)s::int[]) AND b.hour < %(first_hour)s::timestamptz
    ORDER BY b.customer_id, b.meter_id, b.dimension_set_id, b.hour DESC
)"""


def _held_by_events(shape: Shape) -> str:
    """From the events of all months that are there. Of those before, which are detached, only buckets are left."""
    return f"""held AS (
    SELECT DISTINCT ON (customer_id, meter_id, dimension_set_id) *
    FROM (
        SELECT e.customer_id, e.meter_id, e.dimension_set_id, e.occurred_at AS at, e.sequence, e.value
        FROM meters_event AS e
        WHERE {_scope(shape, "e")} AND e.meter_id = ANY(%(meters)s::int[]) AND e.void_id IS NULL
          AND e.occurred_at < %(first_hour)s::timestamptz
        UNION ALL
        SELECT b.customer_id, b.meter_id, b.dimension_set_id, b.last_at, b.last_sequence, b.last
        FROM meters_usagebucket AS b
        WHERE {_scope(shape, "b")} AND b.meter_id = ANY(%(meters)s::int[]) AND b.hour < %(first_hour)s::timestamptz
          AND b.hour < (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM ({MONTHS}) AS months)
    ) AS before
    ORDER BY customer_id, meter_id, dimension_set_id, at DESC, sequence DESC
)"""


@lru_cache
def had_usage(scope: str) -> str:
    """Whether there was usage in some spans, by its buckets. Uses the primary key of meters_usagebucket."""
    return f"""
    SELECT EXISTS (
        SELECT FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS span (start_at, end_at)
        JOIN meters_usagebucket AS b ON b.hour >= span.start_at AND b.hour < span.end_at
        WHERE {_scope(Shape(scope), "b")} AND b.meter_id = ANY(%(meters)s::int[])
    )"""


_PAIRS = "unnest(%(pair_segments)s::int[], %(pair_windows)s::int[]) AS pair (segment, w)"
_DAY = "({} AT TIME ZONE 'UTC')::date"


def _in_whole_spans(shape: Shape, unit: str, cast: str) -> str:
    if shape.single:
        return ""
    first, end = cast.format("span.start_at"), cast.format("span.end_at")
    return f"JOIN {_spans('whole')} ON {unit} >= {first} AND {unit} < {end}"


def _spans(name: str) -> str:
    return f"unnest(%({name}_starts)s::timestamptz[], %({name}_ends)s::timestamptz[]) AS span (start_at, end_at)"


def _segment(instant: str) -> str:
    return f"width_bucket({instant}, %(bounds)s::timestamptz[])"


def _latest(shape: Shape, at: str, sequence: str, value: str) -> str:
    """The latest value as the greatest of (time, arrival, value), for the meters that ask for it."""
    if not shape.latest:
        return "NULL::numeric[]"
    ordered = f"ARRAY[extract(epoch FROM {at}), {sequence}, {value}]"
    return f"max(CASE WHEN meter_id = ANY(%(latest)s::int[]) THEN {ordered} END)"


def _grain(shape: Shape, table: str) -> str:
    """Customer, meter and dimension set; what nothing asks for is left out, so that fewer rows are summed further."""
    customer = f"{table}.customer_id" if shape.by_customer else "NULL::int AS customer_id"
    dimension_set = f"{table}.dimension_set_id" if shape.by_set else "NULL::int AS dimension_set_id"
    return f"{customer}, {table}.meter_id, {dimension_set}"


def _scope(shape: Shape, table: str) -> str:
    match shape.scope:
        case "one":
            return f"{table}.customer_id = %(customer)s"
        case "some":
            return f"{table}.customer_id = ANY(%(customers)s::int[])"
    return "TRUE"


def _events(shape: Shape, spans: str, join: str = "") -> str:
    """Raw events in some spans. Without `first` and `end` the planner would look at every month's partition."""
    return f"""FROM {_spans(spans)}
    JOIN meters_event AS e ON e.occurred_at >= span.start_at AND e.occurred_at < span.end_at {join}
    WHERE {_scope(shape, "e")} AND e.meter_id = ANY(%(meters)s::int[]) AND e.void_id IS NULL
      AND e.occurred_at >= %(first)s::timestamptz AND e.occurred_at < %(end)s::timestamptz"""


def _names(shape: Shape, table: str) -> str:
    """Joins what groups and conditions are made of."""
    joins = ""
    if shape.by_set:
        joins += f" JOIN meters_dimensionset AS s ON s.id = {table}.dimension_set_id"
    if any(shape.group_by):
        joins += f" JOIN meters_customer AS c ON c.id = {table}.customer_id"
    return joins


def _customer(shape: Shape, table: str) -> str:
    return f"{table}.customer_id" if shape.apart else "NULL::int"


def _text(name: str) -> str:
    """The text of a dimension; one that the event lacks is the empty text."""
    return f"coalesce(s.values ->> %({name})s::text, '')"


def _group(shape: Shape) -> str:
    """The group, and NULL for one that is not kept apart."""
    texts = [
        "c.key::text" if is_customer else _text(f"group_{index}") for index, is_customer in enumerate(shape.group_by)
    ]
    if shape.filters is not None:
        texts.append(_filter(shape.filters))
    group = f"ARRAY[{', '.join(texts)}]::text[]"
    return f"CASE WHEN to_jsonb({group}) = ANY(%(keep)s::jsonb[]) THEN {group} END" if shape.keep else group


def _filter(filters: tuple[int, ...]) -> str:
    """The number of the first of its meter's filters that a dimension set meets, the empty text where it meets none."""
    cases = [
        f"WHEN meter_id = %(filter_meter_{index})s"
        + "".join(
            f" AND {_text(f'filter_name_{index}_{place}')} = ANY(%(filter_texts_{index}_{place})s::text[])"
            for place in range(names)
        )
        + f" THEN %(filter_group_{index})s::text"
        for index, names in enumerate(filters)
    ]
    return f"CASE {' '.join(cases)} ELSE '' END" if cases else "''"


def _where(shape: Shape, table: str, word: str = "WHERE") -> str:
    conditions = [
        (f"({table}.meter_id <> %(condition_meter_{index})s OR " if of_one else "(")
        + f"{_text(f'condition_name_{index}')} = ANY(%(condition_texts_{index})s::text[]))"
        for index, of_one in enumerate(shape.conditions)
    ]
    return f"{word} {' AND '.join(conditions)}" if conditions else ""


def _versions(shape: Shape) -> str:
    scope = _scope(shape, "v")
    nulls = "NULL, NULL, NULL::text[], NULL, NULL, NULL, NULL, NULL"
    if shape.apart:
        figures, group = f"v.customer_id, {nulls}, v.version, v.changed_at", ""
    else:
        figures, group = f"NULL, {nulls}, sum(v.version)::bigint, max(v.changed_at)", "HAVING count(*) > 0"
    return f"SELECT {figures} FROM meters_usageversion AS v WHERE {scope} {group}"

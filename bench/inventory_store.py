"""Fills a PostgreSQL with a country's inventory: sites in their tree, devices, a year of daily scans.

The rows are those that ingest would have written, through the real schema, made by the database
itself: the same number gives the same device. Indexes and unique constraints are made afterwards, as
one restores a dump; foreign keys hold by construction. What a year leaves behind:

- each device: its keys, the facts it was judged by, a verdict with eight pieces of evidence, a finding;
- an interval of sightings, more than one for a device that was silent, or had another address;
- a second verdict for those that were judged anew;
- for flagged devices each step of their removal so far;
- for each site a run a day, with what it covered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = ["Store", "fill"]

DAYS: Final = 365
_SIZES: Final = ((60, 40), (90, 200), (99, 800), (100, 4_400))
"""Of a hundred sites, up to which one has how many devices: schools, offices, colleges, a hospital."""
_MEAN: Final = 200
_MEMORY: Final = (
    "SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'; SET session_replication_role = replica"
)


@dataclass(frozen=True, slots=True)
class Store:
    """What was filled: `end` is the time of the last scan."""

    sites: int
    devices: int
    end: datetime
    seconds: float
    size: int
    """Bytes on disk, with indexes."""


def fill(connect: Callable[[], Any], sites: int, devices: int, say: Callable[[str], None]) -> Store:
    """Fill a migrated, empty database; `connect` gives a new psycopg connection that commits by itself."""
    began = time.monotonic()
    # Reports of the days since then are taken in by the measurements.
    end = (datetime.now(UTC) - timedelta(days=12)).replace(hour=6, minute=0, second=0, microsecond=0)
    with connect() as link:
        later = _taken_off(link)
        link.execute(_MEMORY)
        for statement in _helpers(sites, devices, end):
            link.execute(statement)
        say("places")
        _each(link, _PLACES)
        say("devices")
        _each(link, _DEVICES)
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda statement: _alone(connect, statement), _OF_DEVICES):
            say("what is known of devices")
        for _ in pool.map(lambda statement: _alone(connect, statement), _SUMS):
            say("sums")
        for _ in pool.map(lambda statement: _alone(connect, statement), later):
            say("an index")
        for _ in pool.map(lambda statement: _alone(connect, statement), _analysed(connect)):
            say("statistics")
    with connect() as link:
        _each(link, ["DROP TABLE fill_site, fill_kind, fill_words", "DROP FUNCTION fill_draw", "CHECKPOINT"])
        size = link.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    return Store(sites, devices, end, time.monotonic() - began, size)


def _each(link: Any, statements: Iterable[str]) -> None:
    for statement in statements:
        link.execute(statement)


def _alone(connect: Callable[[], Any], statement: str) -> None:
    with connect() as link:
        if not statement.startswith("VACUUM"):
            link.execute(_MEMORY)
        link.execute(statement)


def _taken_off(link: Any) -> list[str]:
    """Drop the indexes and the unique constraints of our tables; gives what makes them again."""
    unique = link.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'u' AND conrelid::regclass::text LIKE 'inventory_%'"
    ).fetchall()
    found = link.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid::regclass::text LIKE 'inventory_%' AND NOT indisprimary AND NOT EXISTS"
        " (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
    ).fetchall()
    again = [definition for _, definition in found]
    again += [f"ALTER TABLE {table} ADD CONSTRAINT {name} {how}" for table, name, how in unique]
    _each(link, [f"DROP INDEX {name}" for name, _ in found])
    # A foreign key leans on the index of what it points to, never on one of these.
    _each(link, [f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name, _ in unique])
    return sorted(again, key=lambda text: "inventory_device " not in text)


def _analysed(connect: Callable[[], Any]) -> list[str]:
    """Let the next ids follow those that are there; gives what gathers statistics of each table."""
    with connect() as link:
        tables = link.execute(
            "SELECT relname, pg_get_serial_sequence(relname, 'id') FROM pg_class"
            " LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'id'"
            " WHERE relkind = 'r' AND relname LIKE 'inventory_%' AND attname IS NOT NULL"
        ).fetchall()
        for table, sequence in tables:
            if sequence is not None:
                link.execute(f"SELECT setval('{sequence}', greatest(1, (SELECT max(id) FROM {table})))")  # noqa: S608 - own names
        every = link.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'inventory_%'").fetchall()
    return [f"VACUUM (ANALYZE) {table}" for (table,) in every]


def _helpers(sites: int, devices: int, end: datetime) -> Sequence[str]:
    """Tables to draw from: `fill_site` knows which devices are where, `fill_kind` who makes what."""
    sizes = " ".join(f"WHEN place % 100 < {below} THEN {size}" for below, size in _SIZES)
    return [
        # The same number and salt give the same draw from 0 to 999.
        """CREATE FUNCTION fill_draw(n bigint, salt int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN (hashint8extended(n, salt) & 1073741823) % 1000""",
        """CREATE UNLOGGED TABLE fill_site (id bigint PRIMARY KEY, first bigint, count bigint, unit bigint,
            ending timestamptz, starting timestamptz)""",
        f"""INSERT INTO fill_site
            SELECT place + 1, first, lead(first, 1, {devices}::bigint) OVER (ORDER BY place) - first,
                   place % {_units(sites)} + 1, ending, ending - interval '{DAYS} days'
            FROM (SELECT place, floor({devices}::numeric * (sum(size) OVER (ORDER BY place) - size)
                                      / sum(size) OVER ())::bigint AS first,
                         '{end.isoformat()}'::timestamptz + place % 240 * interval '1 minute' AS ending
                  FROM (SELECT place, CASE {sizes} END AS size
                        FROM generate_series(0, {sites} - 1) AS place) AS sized) AS placed""",  # noqa: S608 - own numbers
        """CREATE UNLOGGED TABLE fill_kind (from_draw int, until_draw int, maker text, finding text, level text,
            model text)""",
        """INSERT INTO fill_kind VALUES
            (0, 250, 'Hikvision', 'flagged', 'confirmed', 'DS-2CD2'), (250, 430, 'Dahua', 'flagged', 'confirmed', 'IPC-HFW'),
            (430, 480, 'Uniview', 'suspected', 'probable', 'IPC36'), (480, 630, 'Axis', 'clear', 'confirmed', 'P32'),
            (630, 720, 'Hanwha Vision', 'clear', 'confirmed', 'QNV-'), (720, 780, 'Bosch', 'clear', 'probable', 'NBN-'),
            (780, 830, 'Vivotek', 'clear', 'possible', 'FD9'), (830, 860, 'Reolink', 'clear', 'possible', 'RLC-'),
            (860, 1000, '', 'unidentified', 'unknown', '')""",
        "CREATE UNLOGGED TABLE fill_words (k int, maker text, evidence text, observations text)",
        """INSERT INTO fill_words
            SELECT k, maker,
                   (SELECT json_agg(json_build_object(
                        'rule', format('%s.onvif-scope.rule-%s', lower(maker), place), 'family', 'onvif',
                        'field', 'onvif.scope', 'text', format('onvif://www.onvif.org/%s/value-%s', part, k),
                        'claims', json_build_object('manufacturer', maker), 'weight', 5.42, 'proof', false,
                        'status', 'stable'))::text
                    FROM generate_series(0, CASE WHEN maker = '' THEN 0 ELSE 7 END) AS place,
                         LATERAL (SELECT (ARRAY['hardware', 'name', 'location'])[place % 3 + 1]) AS p(part)),
                   (SELECT string_agg(json_build_object(
                        'field', 'onvif.scope',
                        'text', format('onvif://www.onvif.org/%s/value-%s/%s', part, k, place),
                        'read_as', 'ws-discovery')::text, ',')
                    FROM generate_series(0, 13) AS place,
                         LATERAL (SELECT (ARRAY['hardware', 'name', 'location'])[place % 3 + 1]) AS p(part))
            FROM generate_series(0, 96) AS k, fill_kind""",
        "ANALYZE fill_site, fill_words",
    ]


def _units(sites: int) -> int:
    """How many organisations have sites of their own: some five sites each."""
    return max(1, sites // 5)


_PLACES: Final = (
    # A country, its regions, the bodies in each, their units.
    """WITH RECURSIVE size AS (SELECT max(unit) AS units FROM fill_site),
         shape AS (SELECT units, ceil(units / 8.0)::bigint AS bodies, ceil(units / 160.0)::bigint AS regions FROM size)
       INSERT INTO inventory_organisation (id, name, kind, parent_id, path)
       SELECT 1, 'Country', 'department', NULL::bigint, '/1/'
       UNION ALL
       SELECT 1 + r, format('Region %s', r), 'department', 1, format('/1/%s/', 1 + r)
       FROM shape, generate_series(1, regions) AS r
       UNION ALL
       SELECT 1 + regions + b,
              format('%s %s', (ARRAY['Council', 'Police', 'Health trust', 'University', 'Water'])[b % 5 + 1], b),
              (ARRAY['council', 'police', 'hospital', 'university', 'utility'])[b % 5 + 1],
              2 + (b - 1) % regions, format('/1/%s/%s/', 2 + (b - 1) % regions, 1 + regions + b)
       FROM shape, generate_series(1, bodies) AS b
       UNION ALL
       SELECT 1 + regions + bodies + u, format('Unit %s', u), 'school', 2 + regions + (u - 1) % bodies,
              format('/1/%s/%s/%s/', 2 + (u - 1) % bodies % regions, 2 + regions + (u - 1) % bodies,
                     1 + regions + bodies + u)
       FROM shape, generate_series(1, units) AS u""",
    """INSERT INTO inventory_site (id, code, name, organisation_id, address, sensitivity, owner, stale)
       SELECT s.id, format('site-%s', s.id),
              format('%s %s', (ARRAY['Northfield', 'Eastgate', 'Mill Lane', 'Harbour', 'Kingsway', 'St Mary'])[s.id % 6 + 1], s.id),
              (SELECT max(id) FROM inventory_organisation) - (SELECT max(unit) FROM fill_site) + s.unit,
              format('%s High Street', s.id),
              (ARRAY['ordinary', 'ordinary', 'ordinary', 'sensitive', 'critical'])[fill_draw(s.id, 9) % 5 + 1],
              format('Facilities %s', s.unit), false
       FROM fill_site AS s""",
    """INSERT INTO inventory_subnet (site_id, range, vlan, name, expected)
       SELECT s.id, format('10.%s.%s.0/24', net >> 8, net & 255), 100 + row_number() OVER (PARTITION BY s.id),
              'cameras', true
       FROM fill_site AS s, generate_series(s.first >> 8, (s.first + s.count - 1) >> 8) AS net WHERE s.count > 0""",
    """INSERT INTO inventory_agent (id, name, organisation_id, note, last_seen, version, knowledge, public_key,
                                    revoked, instances)
       SELECT u, format('agent-%s', u),
              (SELECT max(id) FROM inventory_organisation) - (SELECT max(unit) FROM fill_site) + u, '',
              now() - CASE WHEN fill_draw(u, 8) < 10 THEN interval '9 days' ELSE interval '3 hours' END,
              '0.1.0', '7e1103cb97fc', '', NULL, '{}'
       FROM generate_series(1, (SELECT max(unit) FROM fill_site)) AS u""",
    """INSERT INTO inventory_apitoken (agent_id, hash, hint, may_report, may_read, created, expires, revoked, last_used)
       SELECT id, md5(id::text) || md5(name), 'abcd', true, false, now() - interval '100 days',
              now() + CASE WHEN fill_draw(id, 7) < 5 THEN interval '9 days' ELSE interval '200 days' END, NULL, now()
       FROM inventory_agent""",
    """INSERT INTO inventory_deadline (policy, sensitivity, due)
       SELECT policy, sensitivity, current_date + days
       FROM (VALUES ('uk-2022-sensitive-sites', 'sensitive', -30), ('uk-2022-sensitive-sites', 'critical', -90),
                    ('ndaa-889', 'ordinary', 300), ('ndaa-889', 'critical', 100)) AS d(policy, sensitivity, days)""",
)

_DEVICES: Final = (
    """INSERT INTO inventory_device (id, site_id, address, vlan, hostname, mac, serial, manufacturer, brand,
           device_class, model, firmware, confidence, level, finding, first_seen, last_seen, verdict_digest,
           finding_digest, said_digest, conflicted, plan_state, policies)
       SELECT n + 1, site, address, vlan, hostname, mac, serial, maker, maker, class, model, firmware, confidence,
              level, finding, first,
              CASE state WHEN 'verified-gone' THEN first + interval '1 day' * (20 + (days - 40) * fill_draw(n, 3) / 1000)
                         WHEN 'removed' THEN ending - interval '1 day' * (3 + fill_draw(n, 3) % 8)
                         ELSE ending - CASE WHEN fill_draw(n, 4) < 30 THEN interval '1 day' * (days * fill_draw(n, 3) / 1000)
                                            ELSE interval '0' END END,
              md5(format('v%s', n)), md5(format('f%s', finding)), md5(format('s%s', n)), fill_draw(n, 13) < 2, state,
              CASE WHEN finding = 'flagged' THEN ',ndaa-889,uk-2022-sensitive-sites,' ELSE '' END
       FROM (SELECT n, s.id AS site, s.ending, k.maker, k.finding, k.level,
                    format('10.%s.%s.%s', n >> 16 & 255, n >> 8 & 255, n & 255) AS address,
                    CASE WHEN fill_draw(n, 5) < 300 THEN 101 + ((n >> 8) - (s.first >> 8)) END AS vlan,
                    CASE WHEN fill_draw(n, 6) < 400 THEN format('cam-%s', to_hex(n)) ELSE '' END AS hostname,
                    '28:57:be:' || substr(to_hex(n + 16777216), 2, 2) || ':' || substr(to_hex(n + 16777216), 4, 2) || ':'
                        || substr(to_hex(n + 16777216), 6, 2) AS mac,
                    CASE WHEN k.maker = '' THEN '' ELSE format('%s%s2016%s', k.model, fill_draw(n, 10) % 60, lpad(n::text, 9, '0')) END AS serial,
                    (ARRAY['camera', 'camera', 'camera', 'camera', 'camera', 'camera', 'camera', 'recorder', 'recorder', 'doorbell'])
                        [fill_draw(n, 11) % 10 + 1] AS class,
                    CASE WHEN k.maker = '' THEN '' ELSE format('%s%s', k.model, fill_draw(n, 10) % 60) END AS model,
                    format('V5.%s.%s', fill_draw(n, 12) % 7, fill_draw(n, 14) % 30) AS firmware,
                    CASE k.level WHEN 'confirmed' THEN 0.998 WHEN 'probable' THEN 0.91 WHEN 'possible' THEN 0.6 ELSE 0 END AS confidence,
                    CASE WHEN k.finding <> 'flagged' THEN '' WHEN fill_draw(n, 2) < 550 THEN 'found'
                         WHEN fill_draw(n, 2) < 730 THEN 'scheduled' WHEN fill_draw(n, 2) < 750 THEN 'removed'
                         WHEN fill_draw(n, 2) < 950 THEN 'verified-gone' WHEN fill_draw(n, 2) < 960 THEN 'returned'
                         ELSE 'exempt' END AS state,
                    f.first, extract(day FROM s.ending - f.first)::int AS days
             FROM fill_site AS s
             CROSS JOIN LATERAL generate_series(s.first, s.first + s.count - 1) AS n
             JOIN fill_kind AS k ON fill_draw(n, 1) >= k.from_draw AND fill_draw(n, 1) < k.until_draw
             CROSS JOIN LATERAL (SELECT s.starting + CASE WHEN fill_draw(n, 15) < 850 THEN interval '0'
                                        ELSE interval '1 day' * (fill_draw(n, 16) % 300) END) AS f(first)) AS drawn""",
)

_OF_DEVICES: Final = (
    """INSERT INTO inventory_facts (device_id, observations, hostnames, ports)
       SELECT d.id, ('[' || w.observations || format(',{"field":"onvif.endpoint","text":"urn:uuid:5f5a69c2-e0ae-504f-829b-%s","read_as":"ws-discovery"}]', lpad(to_hex(d.id - 1), 12, '0')))::jsonb,
              CASE WHEN d.hostname = '' THEN '[]'::jsonb ELSE jsonb_build_array(d.hostname) END, '[80, 554]'::jsonb
       FROM inventory_device AS d JOIN fill_words AS w ON w.k = d.id % 97 AND w.maker = d.manufacturer""",
    """INSERT INTO inventory_verdict (device_id, since, digest, said, knowledge, rejudged)
       SELECT d.id, CASE turn WHEN 0 THEN d.first_seen ELSE d.first_seen + (d.last_seen - d.first_seen) * 0.7 END,
              CASE turn WHEN again THEN d.verdict_digest ELSE md5(d.verdict_digest) END,
              (format('{"manufacturer":%s,"brand":%s,"model":%s,"line":null,"firmware":%s,"serial":%s,"mac":%s,"device_class":%s,"level":%s,"channels":null,"confidence":%s,"conflicts":[],"notes":[],"problems":[],"evidence":',
                      to_json(d.manufacturer), to_json(d.brand), to_json(d.model), to_json(d.firmware), to_json(d.serial),
                      to_json(d.mac), to_json(d.device_class), to_json(d.level), d.confidence) || w.evidence || '}')::jsonb,
              CASE turn WHEN 0 THEN '7e1103cb97fc' ELSE '8f22' END, turn = 1
       FROM inventory_device AS d JOIN fill_words AS w ON w.k = d.id % 97 AND w.maker = d.manufacturer
       CROSS JOIN LATERAL (SELECT CASE WHEN fill_draw(d.id, 20) < 150 THEN 1 ELSE 0 END) AS a(again)
       CROSS JOIN LATERAL generate_series(0, again) AS turn""",
    """INSERT INTO inventory_finding (device_id, since, digest, status, matches, policy_date, rejudged)
       SELECT d.id, CASE turn WHEN 0 THEN d.first_seen ELSE d.first_seen + (d.last_seen - d.first_seen) * 0.7 END,
              CASE turn WHEN again THEN d.finding_digest ELSE md5(d.finding_digest) END,
              CASE turn WHEN again THEN d.finding ELSE 'unidentified' END,
              CASE WHEN turn = again AND d.finding = 'flagged' THEN jsonb_build_array(
                  jsonb_build_object('policy', 'uk-2022-sensitive-sites', 'entry', d.manufacturer, 'in_force_from', '2022-11-24',
                                     'basis', repeat('A basis of some length, as policies have one: ', 4)),
                  jsonb_build_object('policy', 'ndaa-889', 'entry', d.manufacturer, 'in_force_from', '2019-08-13',
                                     'basis', repeat('A basis of some length, as policies have one: ', 4)))
              ELSE '[]'::jsonb END, d.first_seen::date, turn = 1
       FROM inventory_device AS d
       CROSS JOIN LATERAL (SELECT CASE WHEN fill_draw(d.id, 21) < 80 THEN 1 ELSE 0 END) AS a(again)
       CROSS JOIN LATERAL generate_series(0, again) AS turn""",
    """INSERT INTO inventory_run (report, site_id, agent_id, started, finished, received, parts, parts_received, complete,
                                  covered, vlans, coverage, facts, problems, accepted, refused)
       SELECT format('scan-%s-%s', s.id, day), s.id, s.unit, at - interval '8 minutes', at, at + interval '1 minute', 1, 1,
              fill_draw(s.id * 400 + day, 22) >= 30,
              c.covered, NULL, jsonb_build_object('incomplete', fill_draw(s.id * 400 + day, 22) < 30, 'covered', c.covered,
                  'blind_spots', jsonb_build_array(jsonb_build_object('where', c.covered -> 0, 'kind', 'vlan',
                      'why', 'This agent has no leg in this VLAN: devices that answer no unicast are not seen.',
                      'next_step', 'Give the agent a tagged interface in this VLAN, or a mirror port of its switch.'))),
              jsonb_build_object('tool', 'camcensus', 'version', '0.1.0', 'command', 'scan', 'knowledge', '7e1103cb97fc',
                  'started', at - interval '8 minutes', 'finished', at, 'targets', c.covered),
              0, s.count, 0
       FROM generate_series(0, 364) AS day CROSS JOIN fill_site AS s
       JOIN (SELECT site_id, jsonb_agg(range ORDER BY id) AS covered FROM inventory_subnet GROUP BY site_id) AS c ON c.site_id = s.id
       CROSS JOIN LATERAL (SELECT s.starting + interval '1 day' * (day + 1)) AS t(at)""",
    """INSERT INTO inventory_identity (key, device_id, since)
       SELECT key, d.id, d.first_seen FROM inventory_device AS d CROSS JOIN LATERAL (VALUES
           (CASE WHEN d.serial <> '' THEN format('serial:%s/%s', d.manufacturer, d.serial) END), (format('mac:%s', d.mac)),
           (format('endpoint:urn:uuid:5f5a69c2-e0ae-504f-829b-%s', lpad(to_hex(d.id - 1), 12, '0'))),
           (format('address:%s/%s', d.site_id, d.address))) AS k(key)
       WHERE key IS NOT NULL""",
    """INSERT INTO inventory_sighting (device_id, site_id, address, vlan, first_seen, last_seen, agent_id)
       SELECT d.id, d.site_id,
              CASE WHEN turn = 0 AND again = 1 AND fill_draw(d.id, 24) < 500 THEN d.address || '9' ELSE d.address END,
              d.vlan, CASE turn WHEN 0 THEN d.first_seen ELSE middle + interval '9 days' END,
              CASE turn WHEN again THEN d.last_seen ELSE middle END, s.unit
       FROM inventory_device AS d JOIN fill_site AS s ON s.id = d.site_id
       CROSS JOIN LATERAL (SELECT d.first_seen + (d.last_seen - d.first_seen) * 0.4) AS m(middle)
       CROSS JOIN LATERAL (SELECT CASE WHEN fill_draw(d.id, 23) < 200 AND d.last_seen > middle + interval '9 days' THEN 1 ELSE 0 END) AS a(again)
       CROSS JOIN LATERAL generate_series(0, again) AS turn""",
    """INSERT INTO inventory_plan (device_id, state, due, owner, replacement, removed_at, verified_at, reason, exempt_until, note, changed)
       SELECT id, plan_state,
              CASE WHEN plan_state = 'scheduled' THEN current_date - 60 + fill_draw(id, 25) % 400 ELSE (last_seen + interval '5 days')::date END,
              format('Facilities %s', site_id % 2000), CASE WHEN id % 3 = 0 THEN 'Axis P3265' ELSE '' END,
              CASE WHEN plan_state IN ('removed', 'verified-gone') THEN last_seen + interval '6 hours' END,
              CASE plan_state WHEN 'verified-gone' THEN last_seen + interval '4 days' END,
              CASE plan_state WHEN 'exempt' THEN 'Evidence of a case that is not closed' ELSE '' END,
              CASE plan_state WHEN 'exempt' THEN current_date + 30 + fill_draw(id, 26) END, '', last_seen
       FROM inventory_device WHERE plan_state NOT IN ('', 'found')""",
    """INSERT INTO inventory_planchange (device_id, at, before, after, by_id, why)
       SELECT id, at, before, after, NULL::int, why FROM (
           SELECT id, first_seen AS at, '' AS before, 'found' AS after, '' AS why FROM inventory_device WHERE plan_state <> ''
           UNION ALL
           SELECT id, first_seen + (last_seen - first_seen) * 0.5, 'found', 'scheduled', '' FROM inventory_device
           WHERE plan_state IN ('scheduled', 'removed', 'verified-gone', 'returned')
           UNION ALL
           SELECT id, first_seen + (last_seen - first_seen) * 0.5, 'found', 'exempt', 'Evidence of a case that is not closed'
           FROM inventory_device WHERE plan_state = 'exempt'
           UNION ALL
           SELECT id, last_seen + interval '6 hours', 'scheduled', 'removed', '' FROM inventory_device
           WHERE plan_state IN ('removed', 'verified-gone')
           UNION ALL
           SELECT id, first_seen + (last_seen - first_seen) * 0.7, 'scheduled', 'removed', '' FROM inventory_device
           WHERE plan_state = 'returned'
           UNION ALL
           SELECT id, last_seen + interval '4 days', 'removed', 'verified-gone', '3 complete scans of its address did not see it'
           FROM inventory_device WHERE plan_state = 'verified-gone'
           UNION ALL
           SELECT id, first_seen + (last_seen - first_seen) * 0.9, 'removed', 'returned', 'seen at ' || address
           FROM inventory_device WHERE plan_state = 'returned') AS steps ORDER BY at""",
    """INSERT INTO inventory_alert (device_id, kind, at, what, settled)
       SELECT id, 'returned', first_seen + (last_seen - first_seen) * 0.9,
              'A device that was removed was seen at ' || address || ' again', CASE WHEN id % 4 > 0 THEN last_seen END
       FROM inventory_device WHERE plan_state = 'returned'""",
    """INSERT INTO inventory_contact (asker_id, asked_id, protocols, records, first_seen, last_seen)
       SELECT d.id, d.id + step, '["rtsp"]', true, d.first_seen, d.last_seen
       FROM inventory_device AS d, generate_series(1, 2) AS step
       WHERE d.device_class = 'recorder' AND d.id + 2 <= (SELECT max(id) FROM inventory_device)""",
    """INSERT INTO inventory_cloudcall (device_id, maker, name, addresses, count, bytes_sent, bytes_received, first_seen, last_seen)
       SELECT id, manufacturer, 'dev.example-cloud.test', '["192.0.2.7"]', 400, 90000, 30000, first_seen, last_seen
       FROM inventory_device WHERE finding = 'flagged' AND id % 10 = 0""",
)

_SUMS: Final = (
    """INSERT INTO inventory_runpart (run_id, number, accepted, refused) SELECT id, 1, accepted, 0 FROM inventory_run""",
    """INSERT INTO inventory_sitetally (site_id, finding, manufacturer, plan_state, count)
       SELECT site_id, finding, manufacturer, plan_state, count(*) FROM inventory_device GROUP BY 1, 2, 3, 4""",
    """INSERT INTO inventory_dailystep (site_id, manufacturer, day, state, change)
       SELECT site_id, manufacturer, (at AT TIME ZONE 'UTC')::date, state, sum(change) FROM (
           SELECT device_id, at, after AS state, 1 AS change FROM inventory_planchange
           UNION ALL SELECT device_id, at, before, -1 FROM inventory_planchange WHERE before <> '') AS steps
       JOIN inventory_device AS d ON d.id = device_id WHERE state <> '' GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0""",
    """INSERT INTO inventory_auditentry (at, who, action, what, organisation_id, before, after)
       SELECT c.at, format('planner-%s', s.unit), 'plan', format('device %s', c.device_id), i.organisation_id,
              jsonb_build_object('state', c.before), jsonb_build_object('state', c.after, 'owner', 'Facilities')
       FROM inventory_planchange AS c JOIN inventory_device AS d ON d.id = c.device_id
       JOIN fill_site AS s ON s.id = d.site_id JOIN inventory_site AS i ON i.id = s.id
       WHERE c.after IN ('scheduled', 'exempt', 'removed') ORDER BY c.at""",
)

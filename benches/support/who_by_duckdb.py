"""The answer of `keytrail who KEY`, by DuckDB on the same files: prints its calls, and the CPU seconds that the query took.

    python who_by_duckdb.py LAKE KEY_ARN

For a lake after `keytrail maintain`: then `call` says of each event how it counts.
"""

import sys
import time

import deltalake
import duckdb

USED = """
    usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
    AND outcome IS DISTINCT FROM 'dry_run'
"""


def main(lake, key):
    events = deltalake.DeltaTable(f"{lake}/events").file_uris()
    shared = deltalake.DeltaTable(f"{lake}/shared_calls").file_uris()

    def rows(files, key_column, condition):
        return f"""
            SELECT {key_column} AS key_arn, principal, principal_type, event_name, via, asset, outcome, event_time, event_id
            FROM read_parquet({files!r})
            WHERE {condition} AND {USED}
        """

    single = "call IN ('single', 'shared')"
    destination = f"dest_key_arn = '{key}' AND dest_key_arn IS DISTINCT FROM key_arn"
    parts = [
        rows(events, "key_arn", f"key_arn = '{key}' AND {single}"),
        rows(events, "dest_key_arn", f"{destination} AND {single}"),
        rows(shared, "key_arn", f"key_arn = '{key}'"),
        rows(shared, "dest_key_arn", destination),
    ]
    question = f"""
        SELECT
            key_arn, principal, principal_type, event_name, via, count(*) AS calls,
            count(*) FILTER (WHERE outcome IS DISTINCT FROM 'ok') AS failures, count(DISTINCT asset) AS assets,
            min(event_time) AS first_seen, max(event_time) AS last_seen, min(event_id) AS sample_event_id
        FROM ({" UNION ALL ".join(parts)})
        GROUP BY ALL
        ORDER BY calls DESC, last_seen DESC
    """
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    began = time.process_time()
    answer = connection.execute(question).fetchall()
    print(sum(row[5] for row in answer), time.process_time() - began)


main(*sys.argv[1:])

#!/bin/sh
# A day's work: which keys and trails exist, the new logs, their digests, and a report of what is new since the last.
# Its reports are a series of their own: one that is made by hand in between takes no news away.
# Installed as keytrail-daily; the systemd timer, the cron line, the Kubernetes CronJob and the ECS task all run it.
#
#   DAILY_SOURCE      where the logs are: s3://bucket[/prefix], lookup://region or a folder
#   DAILY_REGIONS     Regions of the inventory, with commas between [default: the configured one]
#   DAILY_SINCE       how far back logs are read; days that are settled are not listed again [default: -90d]
#   DAILY_REPORTS     folder for a report of each run [default: none, the report goes to standard output as Markdown]
#   DAILY_FAIL_ON     the severity of a new finding that is bad news [default: high]
#   DAILY_VERIFY      no: leave the digests out, for a trail without log file validation, which would end with 3 each day
#   KEYTRAIL_LAKE     the lake, as for every command
#
# Every step is taken, whatever became of those before it. Exit code: 1 a new finding is as bad, or verify found something;
# otherwise 2 a step failed; otherwise 3 something could not be read or judged; otherwise 0.
set -u

worst=0

# seen STEP CODE: keeps the exit code that says the most; whatever is no code of keytrail's is a failure.
seen() {
    echo "keytrail-daily: $1 ended with exit code $2" >&2
    code=$2
    [ "$code" -le 3 ] || code=2
    if [ "$worst" -eq 0 ] || [ "$code" -lt "$worst" ]; then
        worst=$code
    fi
}

source=${DAILY_SOURCE:?names no source: s3://bucket, lookup://region or a folder}
since=${DAILY_SINCE:--90d}
fail_on=${DAILY_FAIL_ON:-high}

keytrail --no-progress inventory --from aws ${DAILY_REGIONS:+--region "$DAILY_REGIONS"} || seen inventory $?

keytrail --no-progress ingest "$source" --since "$since" || seen ingest $?

# A day behind the others is checked again, for digests that came late. Event history has none.
case ${DAILY_VERIFY:-yes}:$source in
no:* | *:lookup://*) ;;
*) keytrail --no-progress verify "$source" --since -3d || seen verify $? ;;
esac

keytrail --no-progress maintain || seen maintain $?

if [ -n "${DAILY_REPORTS:-}" ]; then
    mkdir -p "$DAILY_REPORTS"
    report=$DAILY_REPORTS/$(date -u +%Y-%m-%dT%H%M%SZ).html
    keytrail --no-progress report --series daily -o "$report" --fail-on "$fail_on" || seen report $?
else
    keytrail --no-progress report --series daily --format markdown --fail-on "$fail_on" || seen report $?
fi

exit "$worst"

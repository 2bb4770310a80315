#!/usr/bin/env bash
# What `keytrail inventory --from FILE` reads, from the aws command line and jq:
#
#     bash aws-inventory.sh eu-west-1 us-east-1 > inventory.json
#
# A call about one key or trail that is refused leaves null, which keytrail takes for unknown; the reason is on standard
# error. Where keys or trails cannot be listed, there is no file.
set -euo pipefail

# call REGION ARGUMENT…: what the aws command line prints, or null.
call() { aws --region "$1" --output json "${@:2}" || echo null; }

keys() {
    local region keys aliases arn
    for region in "$@"; do
        keys=$(aws --region "$region" --output json kms list-keys)
        aliases=$(call "$region" kms list-aliases)
        for arn in $(jq -r '.Keys[].KeyArn' <<<"$keys"); do
            jq -n --arg Arn "$arn" \
                --slurpfile aliases <(echo "$aliases") \
                --slurpfile key <(call "$region" kms describe-key --key-id "$arn") \
                --slurpfile tags <(call "$region" kms list-resource-tags --key-id "$arn") \
                --slurpfile rotation <(call "$region" kms get-key-rotation-status --key-id "$arn") \
                --slurpfile policy <(call "$region" kms get-key-policy --key-id "$arn" --policy-name default) \
                --slurpfile grants <(call "$region" kms list-grants --key-id "$arn") \
                --slurpfile usage <(call "$region" kms get-key-last-usage --key-id "$arn") \
                '($Arn | split("/")[1]) as $id | {$Arn} + $key[0].KeyMetadata + {
                    Aliases: ($aliases[0] | if . then [.Aliases[] | select(.TargetKeyId == $id)] else null end),
                    Tags: $tags[0].Tags, Policy: $policy[0].Policy, Grants: $grants[0].Grants, LastUsage: $usage[0],
                    RotationEnabled: $rotation[0].KeyRotationEnabled,
                    RotationPeriodInDays: $rotation[0].RotationPeriodInDays}'
        done
    done
}

trails() {
    local region described trail home arn
    for region in "$@"; do
        described=$(aws --region "$region" --output json cloudtrail describe-trails)
        jq -c '.trailList[]' <<<"$described" | while read -r trail; do
            home=$(jq -r .HomeRegion <<<"$trail") arn=$(jq -r .TrailARN <<<"$trail")
            jq -n --slurpfile trail <(echo "$trail") \
                --slurpfile status <(call "$home" cloudtrail get-trail-status --name "$arn") \
                --slurpfile selectors <(call "$home" cloudtrail get-event-selectors --trail-name "$arn") \
                '$trail[0] + $status[0] + $selectors[0]'
        done
    done
}

keys=$(keys "$@")
trails=$(trails "$@")
jq -n --slurpfile Keys <(echo "$keys") --slurpfile trails <(echo "$trails") \
    '{$Keys, Trails: ($trails | unique_by(.TrailARN))}'

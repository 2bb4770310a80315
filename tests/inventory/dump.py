# Makes the file that `keytrail inventory --from FILE` reads, by other means than keytrail's.
import json

import boto3

keys, trails = [], {}
for region in ["eu-west-1", "us-east-1"]:
    kms = boto3.client("kms", region)
    aliases = [alias for page in kms.get_paginator("list_aliases").paginate() for alias in page["Aliases"]]
    listed = [key for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]]
    for key in listed:
        key = key["KeyId"]
        metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
        usage = kms.get_key_last_usage(KeyId=key)
        pages = lambda name, list: [entry for page in kms.get_paginator(name).paginate(KeyId=key) for entry in page[list]]
        keys.append({
            "Arn": metadata["Arn"],
            **metadata,
            "Aliases": [alias["AliasName"] for alias in aliases if alias.get("TargetKeyId") == key],
            "Tags": pages("list_resource_tags", "Tags"),
            "RotationEnabled": kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
            "Policy": kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
            "Grants": pages("list_grants", "Grants"),
            "LastUsage": {name: usage[name] for name in ["KeyLastUsage", "TrackingStartDate"]},
        })
    cloudtrail = boto3.client("cloudtrail", region)
    for trail in cloudtrail.describe_trails()["trailList"]:
        home, arn = boto3.client("cloudtrail", trail["HomeRegion"]), trail["TrailARN"]
        trails[arn] = {**trail, **home.get_trail_status(Name=arn), **home.get_event_selectors(TrailName=arn)}

print(json.dumps({"Keys": keys, "Trails": list(trails.values())}, default=lambda time: time.isoformat()))

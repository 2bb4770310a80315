# Makes keys and trails in two Regions, one of each kind, and prints the ids of those that a test looks at.
import json

import boto3

west, east = boto3.client("kms", "eu-west-1"), boto3.client("kms", "us-east-1")


def make(kms, description, **more):
    return kms.create_key(Description=description, KeyUsage=more.pop("KeyUsage", "ENCRYPT_DECRYPT"), **more)["KeyMetadata"]["KeyId"]


payroll = make(west, "payroll", Tags=[{"TagKey": f"tag{number}", "TagValue": f"é {number}"} for number in range(5)])
for alias in ["alias/payroll", "alias/salaries"]:
    west.create_alias(AliasName=alias, TargetKeyId=payroll)
west.enable_key_rotation(KeyId=payroll)
for name in ["first", "second", "third"]:
    west.create_grant(
        KeyId=payroll,
        Name=name,
        GranteePrincipal="arn:aws:iam::123456789012:role/Payroll",
        RetiringPrincipal="arn:aws:iam::123456789012:role/Admin",
        Operations=["Decrypt", "GenerateDataKey"],
        Constraints={"EncryptionContextSubset": {"department": name}},
    )
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]}
west.put_key_policy(KeyId=payroll, PolicyName="default", Policy=json.dumps(policy))

disabled = make(west, "disabled")
west.disable_key(KeyId=disabled)
pending = make(west, "pending", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
west.schedule_key_deletion(KeyId=pending, PendingWindowInDays=7)
# Asking for AWS's own key makes it.
managed = west.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"]
plain = make(east, "plain", Tags=[{"TagKey": "team", "TagValue": "a b"}])
east.create_alias(AliasName="alias/plain", TargetKeyId=plain)
east.create_grant(KeyId=plain, GranteePrincipal="arn:aws:iam::123456789012:role/Reader", Operations=["Decrypt"])
multi = make(west, "multi", MultiRegion=True)
west.replicate_key(KeyId=multi, ReplicaRegion="us-east-1")

boto3.client("s3", "us-east-1").create_bucket(Bucket="trails")
trails = boto3.client("cloudtrail", "eu-west-1")
trails.create_trail(Name="everything", S3BucketName="trails", S3KeyPrefix="all", IsMultiRegionTrail=True, EnableLogFileValidation=True)
trails.start_logging(Name="everything")
selector = {"ReadWriteType": "All", "IncludeManagementEvents": True}
trails.put_event_selectors(TrailName="everything", EventSelectors=[selector])
trails.create_trail(Name="without-kms", S3BucketName="trails")
selector = {**selector, "ExcludeManagementEventSources": ["kms.amazonaws.com"]}
trails.put_event_selectors(TrailName="without-kms", EventSelectors=[selector])

print(json.dumps({"payroll": payroll, "disabled": disabled, "pending": pending, "managed": managed, "plain": plain, "multi": multi}))

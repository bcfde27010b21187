"""Keeps the login of ClickHouse in Secrets Manager, where the functions fetch it. May run any number of times.

Usage: secret.py NAME - with the secret in the environment variable SECRET; prints its ARN.
"""

import os
import sys

import boto3

name, secret = sys.argv[1], os.environ["SECRET"]
secrets = boto3.client("secretsmanager")
try:
    answer = secrets.create_secret(Name=name, SecretString=secret)
except secrets.exceptions.ResourceExistsException:
    answer = secrets.put_secret_value(SecretId=name, SecretString=secret)
print(answer["ARN"])

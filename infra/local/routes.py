"""Gives the deployed HTTP APIs the routes and CORS rules of the body that SAM writes, which MiniStack's CloudFormation
doesn't read. May run any number of times.

Usage: routes.py STACK - prints the outputs of the stack as a JSON object.
"""

import json
import re
import sys

import boto3

stack = sys.argv[1]
cloudformation, gateway, functions = (boto3.client(name) for name in ["cloudformation", "apigatewayv2", "lambda"])


def function_arn(uri):
    """The function behind `arn:…:lambda:path/2015-03-31/functions/${TrackEvent.Arn}/invocations`."""
    logical = re.search(r"functions/\$\{(\w+)\.Arn}", uri["Fn::Sub"])[1]
    return functions.get_function_configuration(FunctionName=physical_ids[logical])["FunctionArn"]


def declared_routes(body):
    """Route key to function ARN and payload version."""
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            integration = operation.get("x-amazon-apigateway-integration")
            if integration:
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = "$default" if path.lstrip("/") == "$default" else f"{verb} {path}"
                yield key, function_arn(integration["uri"]), integration["payloadFormatVersion"]


def apply_body(api, body):
    cors = body.get("x-amazon-apigateway-cors", {})
    if cors:
        gateway.update_api(ApiId=api, CorsConfiguration={key[0].upper() + key[1:]: value for key, value in cors.items()})
    integrations = {item["IntegrationUri"]: item["IntegrationId"] for item in gateway.get_integrations(ApiId=api)["Items"]}
    routes = {item["RouteKey"]: item for item in gateway.get_routes(ApiId=api)["Items"]}
    for key, arn, version in declared_routes(body):
        if arn not in integrations:
            integrations[arn] = gateway.create_integration(
                ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion=version
            )["IntegrationId"]
        target = f"integrations/{integrations[arn]}"
        route = routes.pop(key, None)
        if route is None:
            gateway.create_route(ApiId=api, RouteKey=key, Target=target)
        elif route["Target"] != target:
            gateway.update_route(ApiId=api, RouteId=route["RouteId"], Target=target)
    for route in routes.values():
        gateway.delete_route(ApiId=api, RouteId=route["RouteId"])


physical_ids = {
    resource["LogicalResourceId"]: resource["PhysicalResourceId"]
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    for resource in page["StackResourceSummaries"]
}
template = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
for logical, resource in (template if isinstance(template, dict) else json.loads(template))["Resources"].items():
    if resource["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in resource["Properties"]:
        apply_body(physical_ids[logical], resource["Properties"]["Body"])

outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in outputs}))

"""Results of tools with nobody in them: each finding in these is a false alarm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

from benchmarks.tool_results.planted import Document

Clean = Callable[[Random], str]
_WORDS = "alpha beacon cobalt delta ember falcon granite harbor indigo juniper kernel lumen meadow nimbus onyx prism quartz raven".split()


def _hex(r: Random, digits: int) -> str:
    return f"{r.randrange(16**digits):0{digits}x}"


def _uuid(r: Random) -> str:
    return "-".join(_hex(r, n) for n in (8, 4, 4, 4, 12))


def _epoch(r: Random) -> int:
    return 1_600_000_000 + r.randrange(200_000_000)


def _word(r: Random) -> str:
    return r.choice(_WORDS)


def _when(r: Random) -> str:
    return f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}T{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}Z"


def metrics(r: Random) -> str:
    lines = ["# HELP http_requests_total Requests by code", "# TYPE http_requests_total counter"]
    lines += [
        f'http_requests_total{{code="{r.choice((200, 404, 500))}",'
        f'handler="/{_word(r)}"}} {r.randrange(10**9)} {_epoch(r)}{r.randrange(1000):03}'
        for _ in range(20)
    ]
    return "\n".join(lines)


def time_series(r: Random) -> str:
    return json.dumps(
        {
            "status": "success",
            "data": {
                "result": [
                    {
                        "metric": {"name": _word(r), "job": "node"},
                        "values": [[_epoch(r) + r.random(), str(r.random() * 1e6)] for _ in range(20)],
                    }
                ]
            },
        }
    )


def git_oneline(r: Random) -> str:
    return "\n".join(
        f"{_hex(r, 7)} {r.choice(('Fix', 'Add', 'Drop', 'Bump'))} {_word(r)} "
        f"{r.randrange(9)}.{r.randrange(20)}.{r.randrange(9)} (#{r.randrange(9999)})"
        for _ in range(25)
    )


def diff(r: Random) -> str:
    one = _word(r)
    return (
        f"diff --git a/src/{one}.py b/src/{one}.py\nindex {_hex(r, 7)}..{_hex(r, 7)} 100644\n--- a/src/{one}.py\n+++ b/src/{one}.py\n"
        f"@@ -{r.randrange(900)},7 +{r.randrange(900)},9 @@ class {one.title()}:\n"
        f"-    timeout: int = 30\n+    timeout: int = {r.randrange(900)}\n+    name: str = "
        f'"{one}"\n'
        f"+    user = User(name=name, email=email, address=None)\n     return {one}(x, y)\n"
    )


def packages(r: Random) -> str:
    return "Package            Version\n------------------ ----------\n" + "\n".join(
        f"{_word(r) + '-' + _word(r):18} {r.randrange(30)}.{r.randrange(30)}.{r.randrange(30)}" for _ in range(20)
    )


def lock_file(r: Random) -> str:
    return json.dumps(
        {
            f"node_modules/{_word(r)}-{i}": {
                "version": f"{r.randrange(9)}.{r.randrange(9)}.{r.randrange(9)}",
                "resolved": f"https://registry.example/{_word(r)}-1.0.tgz",
                "license": "MIT",
                "engines": {"node": ">=18"},
            }
            for i in range(10)
        }
    )


def kubernetes(r: Random) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "PodList", "items": [
            {"metadata": {"name": f"{_word(r)}-{_hex(r, 10)}-{_hex(r, 5)}", "namespace": "default", "uid": _uuid(r),
                          "resourceVersion": str(r.randrange(10**9)),
                          "labels": {"app": _word(r), "owner": "platform"}, "creationTimestamp": _when(r)},
             "spec": {"nodeName": f"node-{r.randrange(99)}", "serviceAccountName": "default",
                      "containers": [{"name": _word(r), "image": f"registry.example/{_word(r)}:1.{r.randrange(99)}.0",
                      "ports": [{"containerPort": 8080, "name": "http"}],
                      "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "DB_NAME", "value": "orders"}]}]},
             "status": {"phase": "Running", "startTime": _when(r)}} for _ in range(4)]}
    )  # fmt: skip


def kubectl_table(r: Random) -> str:
    return "NAME                          READY   STATUS    RESTARTS   AGE\n" + "\n".join(
        f"{_word(r)}-{_hex(r, 10)}-{_hex(r, 5)}   1/1     Running   {r.randrange(9)}          {r.randrange(90)}d"
        for _ in range(15)
    )


def manifest(r: Random) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {_word(r)}\n "
        f" labels:\n    app: {_word(r)}\nspec:\n  replicas: {r.randrange(9)}\n  template:\n    "
        f"spec:\n      containers:\n      - name: {_word(r)}\n        image: {_word(r)}"
        f":{r.randrange(9)}.1\n        resources:\n          limits:\n            memory: 512Mi\n"
    )


def files(r: Random) -> str:
    return "\n".join(
        f"-rw-r--r-- 1 root root {r.randrange(10**9):>10} "
        f"{r.choice(('Jan', 'Feb', 'Mar'))} {r.randrange(1, 29):2} {r.randrange(24):02}"
        f":{r.randrange(60):02} {_word(r)}_{_epoch(r)}.{r.choice(('log', 'csv', 'json'))}"
        for _ in range(25)
    )


def file_records(r: Random) -> str:
    return json.dumps(
        [
            {
                "name": f"{_word(r)} {_word(r)}.pdf",
                "path": f"/srv/{_word(r)}",
                "size": r.randrange(10**10),
                "mtime": _epoch(r),
                "owner": "root",
                "sha256": _hex(r, 64),
                "mimeType": "application/pdf",
            }
            for _ in range(8)
        ]
    )


def products(r: Random) -> str:
    return json.dumps(
        {
            "products": [
                {
                    "id": r.randrange(10**12),
                    "name": f"{_word(r).title()} {_word(r).title()}",
                    "title": f"{_word(r).title()} Lamp",
                    "sku": f"{_word(r)[:3].upper()}-{r.randrange(10**6)}",
                    "price": f"{r.randrange(999)}.{r.randrange(100):02}",
                    "ean": str(r.randrange(10**13)),
                    "vendor": f"{_word(r).title()} Supply",
                    "weight": 1.25,
                    "created_at": _when(r),
                }
                for _ in range(8)
            ]
        }
    )


def product_csv(r: Random) -> str:
    return "sku,name,brand,category,stock,price\n" + "\n".join(
        f"{_hex(r, 8)},{_word(r).title()} {_word(r).title()},{_word(r).title()},{_word(r)},{r.randrange(999)},{r.randrange(999)}.99"
        for _ in range(20)
    )


def companies(r: Random) -> str:
    return json.dumps(
        [
            {
                "name": f"{_word(r).title()} {r.choice(('Systems', 'Foods', 'Mining'))} {r.choice(('Inc', 'GmbH', 'Ltd'))}",
                "industry": "metal",
                "domain": f"{_word(r)}.example",
                "employees": r.randrange(9000),
                "revenue": r.randrange(10**9),
                "ticker": _word(r)[:4].upper(),
            }
            for _ in range(8)
        ]
    )


def weather(r: Random) -> str:
    return json.dumps(
        {
            "city": {
                "name": r.choice(("Paris", "Oslo", "Lima")),
                "country": "FR",
                "timezone": 3600,
                "sunrise": _epoch(r),
                "sunset": _epoch(r),
            },
            "list": [
                {
                    "dt": _epoch(r),
                    "main": {"temp": 280.1 + i, "pressure": 1013, "humidity": 80},
                    "wind": {"speed": 4.1, "deg": 80},
                }
                for i in range(8)
            ],
        }
    )


def stocks(r: Random) -> str:
    return "Date,Open,High,Low,Close,Volume\n" + "\n".join(
        f"2026-01-{i + 1:02}," + ",".join(f"{r.random() * 500:.6f}" for _ in range(4)) + f",{r.randrange(10**9)}"
        for i in range(20)
    )


def stock_markdown(r: Random) -> str:
    return "| symbol | name | last | change | volume |\n|---|---|---|---|---|\n" + "\n".join(
        f"| {_word(r)[:4].upper()} | {_word(r).title()} Holdings | {r.random() * 500:.2f} | {r.random():+.2%} | {r.randrange(10**8):,} |"
        for _ in range(12)
    )


def build_log(r: Random) -> str:
    return "\n".join(
        f"[{r.randrange(99):3}%] Building CXX object src/CMakeFiles/{_word(r)}"
        f".dir/{_word(r)}.cpp.o\n{_when(r)} ##[group]Run {_word(r)}@v{r.randrange(9)}\nwarning: "
        f"unused variable: `name` at src/{_word(r)}.rs:{r.randrange(999)}:{r.randrange(80)}"
        for _ in range(10)
    )


def traceback_text(r: Random) -> str:
    return (
        "Traceback (most recent call last):\n"
        + "\n".join(
            f'  File "/usr/lib/python3.11/site-packages/{_word(r)}/{_word(r)}.py", '
            f"line {r.randrange(2000)}, in {_word(r)}\n    user = self.load(name, address=addr, "
            "key=key)"
            for _ in range(6)
        )
        + f"\nKeyError: 'customer_name'\nvalue at 0x7f{_hex(r, 10)}"
    )


def documentation(r: Random) -> str:
    return (
        f"# {_word(r).title()} API\n\nThe `name` field: a short string shown to "
        "users. Required: yes. Default: none.\n\n| parameter | type | description |\n"
        "|---|---|---|\n"
        f"| name | string | The name of the {_word(r)} |\n| address | string | "
        "Where to listen, such as `host:port` |\n| email | string | Contact of the owner |\n| "
        "password | string | Read from the environment |\n\n"
        f"Note: Set `password` to a strong value. Author: the {_word(r)} team. "
        f"Version: {r.randrange(9)}.{r.randrange(9)}. See section {r.randrange(9)}"
        f".{r.randrange(9)}.{r.randrange(9)} or issue #{r.randrange(99999)}.\n"
        f"Usage: {_word(r)} --name NAME --user USER --password-file FILE\n"
    )  # fmt: skip


def tool_schemas(r: Random) -> str:
    return json.dumps(
        [
            {
                "name": f"get_{_word(r)}",
                "description": f"Gets a {_word(r)} by its name and address.",
                "inputSchema": {
                    "type": "object",
                    "title": "Get Customer",
                    "properties": {
                        "customer_name": {"type": "string", "description": "Full name"},
                        "email": {"type": "string", "format": "email"},
                        "address": {"$ref": "#/$defs/Address"},
                        "password": {"type": "string", "default": ""},
                    },
                    "required": ["customer_name"],
                },
            }
            for _ in range(4)
        ]
    )


def sql_schema(r: Random) -> str:
    return (
        f"CREATE TABLE {_word(r)} (\n  id bigint PRIMARY KEY,\n  full_name "
        "varchar(120) NOT NULL,\n  email text,\n  phone varchar(32),\n  street text,\n  city "
        "text,\n  birth_date date,\n  created_at timestamp DEFAULT now()\n);\n"
    )


def column_table(r: Random) -> str:
    rows = [
        ("full_name", "character varying", "NO"),
        ("email", "text", "YES"),
        ("address", "text", "YES"),
        ("id", "bigint", "NO"),
        (_word(r), "jsonb", "YES"),
    ]
    return (
        " column_name |     data_type     | is_nullable \n-------------+-------------------+-------------\n"
        + "\n".join(f" {a:11} | {b:17} | {c}" for a, b, c in rows)
        + "\n(5 rows)"
    )


def statistics(r: Random) -> str:
    return "| column | count | mean | std | min | max |\n|---|---|---|---|---|---|\n" + "\n".join(
        f"| {name} | {r.randrange(10**6)} | {r.random() * 1e4:.4f} | {r.random() * 1e3:.4f} | {r.random():.6f} | {r.random() * 1e6:.2f} |"
        for name in ("age", "zip", "latitude", "account_id", _word(r))
    )


def identifiers(r: Random) -> str:
    return json.dumps(
        {
            _uuid(r): {
                "order_id": str(r.randrange(10**10)),
                "created": _epoch(r),
                "updated_ms": _epoch(r) * 1000 + r.randrange(1000),
                "seq": r.randrange(10**15),
                "parent": _uuid(r),
                "etag": _hex(r, 32),
            }
            for _ in range(8)
        }
    )


def test_results(r: Random) -> str:
    return (
        "\n".join(
            f"tests/test_{_word(r)}.py::test_{_word(r)}_{_word(r)}[{r.randrange(99)}"
            f"] {r.choice(('PASSED', 'FAILED', 'SKIPPED'))} [{r.randrange(100):3}%]"
            for _ in range(20)
        )
        + f"\n==== {r.randrange(900)} passed in {r.random() * 99:.2f}s ===="
    )


def junit(r: Random) -> str:
    return (
        "<testsuite>"
        + "".join(
            f'<testcase classname="{_word(r)}.{_word(r).title()}Test" name="{_word(r)} works" time="{r.random():.4f}"/>'
            for _ in range(10)
        )
        + "</testsuite>"
    )


def web_page(r: Random) -> str:
    return (
        f'<html><head><title>{_word(r).title()} {_word(r).title()}</title><meta '
        f'name="viewport" content="width=device-width"/><meta name="author" content="{_word(r)}'
        '"/></head><body>'
        '<form><label>Name</label><input name="name" type="text"/><label>'
        'Email:</label> <input name="email"/></form><table><tr><th>Name</th><th>Price</th></tr>'
        f'<tr><td>{_word(r).title()} Blue</td><td>${r.randrange(999)}.00</td></tr></table>'
        f"<p>Opening hours: 9-17. Order no. {r.randrange(10**10)}. &copy; 2026</p></body></html>"
    )  # fmt: skip


def service_log(r: Random) -> str:
    return "\n".join(
        f"{_when(r)} INFO {_word(r)}[{r.randrange(99999)}]: request_id={_uuid(r)}"
        f" path=/v1/{_word(r)}/{r.randrange(10**8)} status={r.choice((200, 404))} "
        f"duration_ms={r.randrange(9999)} user=svc-{_word(r)} name={_word(r)} "
        f"bytes={r.randrange(10**10)}"
        for _ in range(12)
    )


def settings_text(r: Random) -> str:
    return (
        f"[server]\nname = {_word(r)}\naddress = 0.0.0.0:8080\nuser = www-data\n"
        f"password = ${{DB_PASSWORD}}\n[mail]\nfrom = ${{MAIL_FROM}}\nport = {r.randrange(9999)}"
        f"\nclient_name = {_word(r)}-{_word(r)}\n"
    )


def cloud(r: Random) -> str:
    return json.dumps(
        {
            "Reservations": [
                {
                    "Instances": [
                        {
                            "InstanceId": f"i-{_hex(r, 17)}",
                            "ImageId": f"ami-{_hex(r, 17)}",
                            "InstanceType": "t3.micro",
                            "LaunchTime": _when(r),
                            "KeyName": _word(r),
                            "Tags": [
                                {"Key": "Name", "Value": f"{_word(r)}-{_word(r)}"},
                                {"Key": "Owner", "Value": "platform"},
                            ],
                            "State": {"Code": 16, "Name": "running"},
                        }
                    ]
                }
                for _ in range(4)
            ]
        }
    )


def repositories(r: Random) -> str:
    return json.dumps(
        [
            {
                "id": r.randrange(10**9),
                "node_id": "MDEwOlJlcG9zaXRvcnk",
                "name": f"{_word(r)}-{_word(r)}",
                "full_name": f"acme/{_word(r)}",
                "owner": {"login": "acme", "id": r.randrange(10**7), "type": "Organization"},
                "description": f"A {_word(r)} for {_word(r)}",
                "stargazers_count": r.randrange(10**5),
                "language": "Rust",
                "license": {"key": "mit", "name": "MIT License"},
                "default_branch": "main",
                "pushed_at": _when(r),
            }
            for _ in range(5)
        ]
    )


def search_results(r: Random) -> str:
    return "\n\n".join(
        f"{i}. {_word(r).title()} {_word(r).title()}: the complete guide\n   "
        f"https://www.{_word(r)}.example/{_word(r)}/{r.randrange(10**7)}\n   How to set up "
        f"{_word(r)} in {r.randrange(9)} steps. Updated: {_when(r)[:10]}. Rating: "
        f"{r.random() * 5:.1f}/5 ({r.randrange(99999):,} votes)"
        for i in range(1, 9)
    )


def sensors(r: Random) -> str:
    return json.dumps(
        [
            {
                "device": f"{_word(r)}-{r.randrange(99)}",
                "name": f"Hall {r.randrange(9)} North",
                "serial": f"SN{r.randrange(10**10)}",
                "firmware": f"{r.randrange(9)}.{r.randrange(9)}.{r.randrange(99)}",
                "value": r.random() * 1e6,
                "at": _epoch(r),
            }
            for _ in range(8)
        ]
    )


def books(r: Random) -> str:
    return json.dumps(
        {
            "items": [
                {
                    "title": f"The {_word(r).title()} {_word(r).title()}",
                    "isbn": str(9780000000000 + r.randrange(10**9)),
                    "publisher": {"name": f"{_word(r).title()} Press"},
                    "pages": r.randrange(900),
                    "published": f"{r.randrange(1950, 2026)}-0{r.randrange(1, 9)}-01",
                }
                for _ in range(8)
            ]
        }
    )


def flights(r: Random) -> str:
    return json.dumps(
        [
            {
                "flight": f"AC{r.randrange(9999)}",
                "from": r.choice(("FRA", "JFK")),
                "to": r.choice(("LHR", "CDG")),
                "departure": _when(r),
                "gate": "B12",
                "aircraft": {"name": "Airbus A320", "registration": "D-AIZQ"},
                "status": "On Time",
            }
            for _ in range(8)
        ]
    )


CLEAN: tuple[Clean, ...] = (
    metrics, time_series, git_oneline, diff, packages, lock_file, kubernetes, kubectl_table, manifest, files, file_records, products,
    product_csv, companies, weather, stocks, stock_markdown, build_log, traceback_text, documentation, tool_schemas, sql_schema,
    column_table, statistics, identifiers, test_results, junit, web_page, service_log, settings_text, cloud, repositories,
    search_results, sensors, books, flights,
)  # fmt: skip


def clean(seed: int, rounds: int = 1) -> Iterator[Document]:
    """Clean documents: `rounds` of each kind."""
    random = Random(seed)
    for _ in range(rounds):
        for make in CLEAN:
            yield Document(make.__name__, "clean", make(random), [])

#!/usr/bin/env python3
"""Puts a host with COUNT nodes into network NET of etcd at ADDRESS:PORT, without a lease.

    fill.py ADDRESS:PORT NET COUNT

The subnet is 10.101.0.0/16, as benches/hosts/run.sh has it.
"""

import base64
import json
import sys
import urllib.request

where, net, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
VNI = {"many": 700, "none": 701}[net]


def put(pairs):
    code = lambda text: base64.b64encode(text.encode()).decode()
    puts = [{"requestPut": {"key": code(key), "value": code(value)}} for key, value in pairs]
    request = urllib.request.Request(
        f"http://{where}/v3/kv/txn", json.dumps({"success": puts}).encode()
    )
    urllib.request.urlopen(request, timeout=5).read()


own = f"/uswitch/{net}/"
config = {"vni": VNI, "port": 4789, "subnets": ["10.101.0.0/16"], "gateways": []}
put([
    (own + "config", json.dumps(config)),
    (f"/uswitch-vni/{VNI}", net),
    (own + "hosts/two", json.dumps({"vtep": "10.9.0.2", "lab": "two"})),
    (own + "vteps/10.9.0.2", "two"),
])
for begin in range(1, count + 1, 40):
    pairs = []
    for number in range(begin, min(begin + 40, count + 1)):
        name, high, low = f"m{number}", number // 256, number % 256
        ip, mac = f"10.101.{high}.{low}", f"02:00:0a:65:{high:02x}:{low:02x}"
        claim = json.dumps({"host": "two", "node": name, "ips": [ip], "macs": [mac]})
        pairs += [(own + key, claim) for key in (f"nodes/{name}", f"ip/{ip}", f"mac/{mac}")]
    put(pairs)

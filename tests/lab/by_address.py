"""A tunnel that a program keeps: what a TUN device sends goes to a remote host by GRE or IPIP, and back.

For kernels that have no such tunnels of their own. Arguments: kind, local and remote address, device.
"""

import fcntl
import os
import select
import socket
import struct
import sys

kind, local, remote, name = sys.argv[1:]
number, head = {"gre": (47, b"\0\0\x08\0"), "ipip": (4, b"")}[kind]
# TUNSETIFF, with IFF_TUN and IFF_NO_PI.
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
raw.bind((local, 0))
raw.connect((remote, 0))
print("ready", flush=True)
while True:
    for ready in select.select([tun, raw], [], [])[0]:
        try:
            if ready == tun:
                raw.send(head + os.read(tun, 65536))
            else:
                packet = raw.recv(65536)
                os.write(tun, packet[(packet[0] & 15) * 4 + len(head):])
        except OSError:
            # An ICMP error about what was sent before, or the device is not up yet.
            pass

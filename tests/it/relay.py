# SPDX-License-Identifier: Apache-2.0
"""relay.py LISTEN-PORT SOURCE PORT [text|broken]: a load balancer on 127.0.0.1 that calls from SOURCE and begins
each connection with a PROXY header of version 2 and its checksum (with `text`: of version 1, which is not
understood; with `broken`: with a wrong checksum)."""
import asyncio
import socket
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header(reader_peer, here):
    if sys.argv[4:] == ["text"]:
        return b"PROXY TCP4 %s %s %d %d\r\n" % (reader_peer[0].encode(), here[0].encode(), reader_peer[1], here[1])
    tlv = b"\x04\x00\x05relay\x03\x00\x04"
    body = socket.inet_aton(reader_peer[0]) + socket.inet_aton(here[0])
    body += struct.pack("!HH", reader_peer[1], here[1]) + tlv
    head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(body) + 4) + body
    return head + struct.pack("!I", crc32c(head + bytes(4)) ^ (sys.argv[4:] == ["broken"]))


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError, RuntimeError):
        writer.transport.abort()


async def serve(reader, writer):
    try:
        up_reader, up_writer = await asyncio.open_connection(
            "127.0.0.1", int(sys.argv[3]), local_addr=(sys.argv[2], 0))
    except OSError:
        writer.transport.abort()
        return
    up_writer.write(header(writer.get_extra_info("peername"), writer.get_extra_info("sockname")))
    await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))
    writer.close()
    up_writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())

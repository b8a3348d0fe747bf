"""Modbus units by pymodbus, for the tests.

    modbus_units.py tcp PORT [DEAD,DEAD…] | rtu PATH [DEAD,DEAD…]

Units: 1 an int16 transmitter with unit and decimals registers, 2 a float one that refuses gaps, 3 a float one at 0x040A, 4 every number
type in every word order, with coils and discrete inputs; 11 to 20 int16 transmitters. Any other unit, and a dead one, does not answer.
"""

import asyncio
import struct
import sys

from pymodbus.framer import FramerType
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]


def words(code, value, order="ABCD"):
    """The registers of a number, worked out without the gateway: ABCD is big-endian."""
    raw = struct.pack(">" + code, value)
    parts = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    if order in ("CDAB", "DCBA"):
        parts.reverse()
    if order in ("BADC", "DCBA"):
        parts = [part[::-1] for part in parts]
    return [int.from_bytes(part, "big") for part in parts]


def registers(blocks):
    return [SimData(at, values=values, datatype=DataType.REGISTERS) for at, values in sorted(blocks.items())]


def bits(blocks):
    return [SimData(at, values=values, datatype=DataType.BITS) for at, values in sorted(blocks.items())]


def unit(number, holding, inputs={0: [0]}, coils={0: [False]}, discrete={0: [False]}):
    return SimDevice(number, (bits(coils), bits(discrete), registers(holding), registers(inputs)))


def mpd_380(number, value, offset=0):
    return unit(number, {0: [number, 3, 3, 2, value, 0, 2500, 0, 0, 0, 0, 0, offset & 0xFFFF]})


numbers = {200: [50_000], 201: [-200 & 0xFFFF], 202: [0b1000]}
for place, order in enumerate(ORDERS):
    numbers[100 + 2 * place] = words("I", 1_234_567, order)
    numbers[120 + 2 * place] = words("i", -1_234_567, order)
    numbers[140 + 2 * place] = words("f", 1234.5, order)
    numbers[160 + 4 * place] = words("d", -98765.4321, order)

UNITS = [
    mpd_380(1, 356, offset=-6),  # 3.50 bar
    unit(2, {2: words("f", 3.5), 8: words("f", 21.25)}),
    unit(3, {0x040A: words("f", 0.14) + words("f", 14.5)}),
    unit(4, numbers, inputs={30: words("f", 250.0)}, coils={5: [True]}, discrete={9: [False, True]}),
] + [mpd_380(number, 100 + number) for number in range(11, 21)]


async def main():
    how, where = sys.argv[1:3]
    dead = {int(number) for number in sys.argv[3].split(",")} if 3 < len(sys.argv) else set()
    answering = {device.id for device in UNITS} - dead
    place_of_unit = 6 if how == "tcp" else 0

    def silence(sending, packet):
        return b"" if sending and packet[place_of_unit] not in answering else packet

    if how == "tcp":
        await StartAsyncTcpServer(UNITS, address=("127.0.0.1", int(where)), trace_packet=silence)
    else:
        await StartAsyncSerialServer(
            UNITS, framer=FramerType.RTU, port=where, baudrate=19200, trace_packet=silence
        )


asyncio.run(main())

// RFC 9235: segments of known keys, numbers and codes; of each section some.

import { describe, expect, it } from "vitest";
import { NodeMacs } from "../../sentry/loop/node-macs.ts";
import { IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import { SYN, tcpFlags } from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";
import { AoKey } from "./ao-keys.ts";
import { aesKey, segmentMac, trafficKey } from "./ao-mac.ts";
import { text } from "./testing.ts";

const hex = (s: string): Uint8Array =>
  Uint8Array.from(s.replace(/\s/g, "").match(/../g) ?? [], (b) => Number.parseInt(b, 16));
const unhex = (b: Uint8Array): string =>
  Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The BGP OPEN message that the RFC's segments carry. */
const open = (as: string, id: string): string =>
  `${"ff".repeat(16)}00430104${as}00b4${id}260206010400010001020280000202020002024200020641040000${as}02084006006400010100`;
const CLIENT = open("dabf", "0a0b0c0d");
const SERVER = open("dac0", "ac1b1c1d");
const SERVER6 = open("fde8", "0101017a");
const CLIENT6 = open("fde8", "01010179");
const V6_OUT = "fd000000000000000000000000000001 fd000000000000000000000000000002";
const V6_IN = "fd000000000000000000000000000002 fd000000000000000000000000000001";
const SHA1 = "hmac(sha1)";
const CMAC = "cmac(aes128)";

/** Section, algorithm, whether options are excluded, source's and destination's ISN, packet, traffic key. */
const VECTORS: readonly (readonly [string, string, boolean, number, number, string, string])[] = [
  [
    "4.1.1",
    SHA1,
    false,
    0xfbfbab5a,
    0,
    "45e0004cdd0f4000ff06bf6b0a0b0c0dac1b1c1de9d700b3fbfbab5a00000000e002ffffcac40000020405b4010303080402080a00155ab7000000001d103d542ee437c6f8ede6d7c4d602e7",
    "6d63ef1b02fe1509d4b1402707fd7b0416abb74f",
  ],
  [
    "4.1.2",
    SHA1,
    false,
    0x11c14261,
    0xfbfbab5a,
    "45e0004c65064000ff063775ac1b1c1d0a0b0c0d00b3e9d711c14261fbfbab5be012ffff37760000020405b4010303080402080a84a50beb00155ab71d10543deeab0fe24c3010815116b3be",
    "d9e217e4834a80ca2f3fd8de2e41b8e6797fea96",
  ],
  [
    "4.1.3",
    SHA1,
    false,
    0xfbfbab5a,
    0x11c14261,
    `45e0008736a14000ff06659f0a0b0c0dac1b1c1de9d700b3fbfbab5b11c14262c0180104a16200000101080a00155ac184a50beb1d103d547064cf998cc6c315c2c2e2bf${CLIENT}`,
    "d2e59c65ffc7b1a39347656463b70edc24a13d71",
  ],
  [
    "4.1.4",
    SHA1,
    false,
    0x11c14261,
    0xfbfbab5a,
    `45e000871fa94000ff067c97ac1b1c1d0a0b0c0d00b3e9d711c14262fbfbab9ec0180100400c00000101080a84a50bf500155ac11d10543da63f0ecbbb2e635c954deac7${SERVER}`,
    "d9e217e4834a80ca2f3fd8de2e41b8e6797fea96",
  ],
  [
    "4.2.1",
    SHA1,
    true,
    0xcb0efbee,
    0,
    "45e0004c53994000ff0648e20a0b0c0dac1b1c1dff1200b3cb0efbee00000000e002ffff541f0000020405b4010303080402080a00024cce000000001d103d5480af3cfeb85368937b8f9ec2",
    "30eaa1560cf0be57dab5c045229fb10a423cd7ea",
  ],
  [
    "4.2.3",
    SHA1,
    true,
    0xcb0efbee,
    0xacd5b5e1,
    `45e00087a8f54000ff06f34a0a0b0c0dac1b1c1dff1200b3cb0efbefacd5b5e2c01801046c4500000101080a00024cce576772f31d103d54710608cc696c03a271c93aa5${CLIENT}`,
    "f3db1793d7910ecd806c34f155ea1f00345953e3",
  ],
  [
    "5.1.1",
    CMAC,
    false,
    0x787a1ddf,
    0,
    "45e0004c7b9f4000ff0620dc0a0b0c0dac1b1c1dc4fa00b3787a1ddf00000000e002ffff5a0f0000020405b4010303080402080a00017ed0000000001d103d54e477e99c8040765498e55091",
    "f5b8b3d5f34fdbb6eb8d4ab9660e60e3",
  ],
  [
    "5.2.2",
    CMAC,
    true,
    0xd3844a6f,
    0x389bed71,
    "45e0004c6cc04000ff062fbbac1b1c1d0a0b0c0d00b3da1cd3844a6f389bed72e012ffffe4450000020405b4010303080402080ace459838000185e11d10543d3a6abb207e49b1be7136db90",
    "3ce67a551869506b6347b633c50a624a",
  ],
  [
    "5.2.3",
    CMAC,
    true,
    0x389bed71,
    0xd3844a6f,
    `45e00087ee914000ff06adae0a0b0c0dac1b1c1dda1c00b3389bed72d3844a70c0180104885100000101080a000185e1ce4598381d103d547585e9e9d5c3ec857b96f837${CLIENT}`,
    "035bc400a341ffe595f59f58005006ca",
  ],
  [
    "6.1.1",
    SHA1,
    false,
    0x176a833f,
    0,
    `6e0891dc00380640${V6_OUT}f7e400b3176a833f00000000e002ffff47210000020405a0010303080402080a0041d087000000001d103d549033ec3d7334b64c5edd039f`,
    "625ec09d575836edc9b6428418bbf06989a361bb",
  ],
  [
    "6.1.3",
    SHA1,
    false,
    0x176a833f,
    0x3f51994b,
    `6e0891dc00730640${V6_OUT}f7e400b3176a83403f51994cc0180100329c00000101080a0041d091bd33129b1d103d54bf0805feb4ac7b163d6fcdf2${CLIENT6}`,
    "1ed82975f4ea444c61580c5bd90dbd61bbc91b7e",
  ],
  [
    "6.2.4",
    SHA1,
    true,
    0xeba3734d,
    0x020c1e69,
    `6e0a7e1f00730640${V6_IN}00b3c6cdeba3734e020c1eadc0180100716a00000101080a5ec99b7a009db9651d10543d559a819445b4fde98d9e1317${SERVER6}`,
    "405108947f996575e7bdbc26d40216a2c7fa91bd",
  ],
  [
    "7.1.2",
    CMAC,
    false,
    0xa6744ecb,
    0x193cccec,
    `6e06152000380640${V6_IN}00b3f85aa6744ecb193cccede012ffffeabb0000020405a0010303080402080a71daabc813e4ab991d10543ddc2843a84e78a6bcfdc5ed80`,
    "cf1b1e225e06a63616764a067b46f4b1",
  ],
  [
    "7.1.4",
    CMAC,
    false,
    0xa6744ecb,
    0x193cccec,
    `6e06152000730640${V6_IN}00b3f85aa6744ecc193ccd30c018010052f400000101080a71daabd313e4aba31d10543dc1069b7dfd3d693a6df3f289${SERVER6}`,
    "cf1b1e225e06a63616764a067b46f4b1",
  ],
  [
    "7.2.3",
    CMAC,
    true,
    0xb01da74a,
    0xa6246145,
    `6e093d7600730640${V6_OUT}f28800b3b01da74ba6246146c0180100c36d00000101080a14275b4f1782245b1d103d54290cf414ccb47a333276e7f8${CLIENT6}`,
    "4fb2086e402c679079ed65d4bf97693d",
  ],
];

function packetOf(bytes: Uint8Array): PacketBuffer {
  const pkt = new PacketBuffer(bytes.length + 256);
  pkt.bytes.set(bytes, pkt.start);
  const isV4 = bytes[0] >>> 4 === 4;
  const family = isV4 ? IPV4 : IPV6;
  pkt.src.read(pkt.bytes, pkt.start + (isV4 ? 12 : 8), family);
  pkt.dst.read(pkt.bytes, pkt.start + (isV4 ? 16 : 24), family);
  pkt.l4 = pkt.start + (isV4 ? 20 : 40);
  pkt.end = pkt.start + bytes.length;
  return pkt;
}

describe("RFC 9235", () => {
  // @rfc 5925 5.1 5.2
  // @rfc 5926 3.1 3.1.1.2
  it.each(VECTORS)(
    "traffic key and code of vector %s",
    (_section, name, excludesOptions, srcIsn, dstIsn, packet, traffic) => {
      const macs = new NodeMacs();
      const algorithm = macs.find(name === CMAC ? "cmac(aes)" : name);
      if (algorithm === null) throw new Error("no such algorithm");
      const secret = text("testvector");
      const spec = {
        addr: new IpAddr(),
        prefixBits: 0,
        sendId: 61,
        receiveId: 84,
        macBytes: 0,
        excludesOptions,
        isOfDevice: false,
        algorithm: name,
        secret,
      };
      const master = name === CMAC ? aesKey(algorithm, secret) : secret;
      const key = new AoKey(spec, algorithm, master);
      const pkt = packetOf(hex(packet));
      const { bytes, l4, src, dst } = pkt;
      const options = new TcpOptions();
      parseTcpOptions(options, bytes, l4, (tcpFlags(bytes, l4) & SYN) !== 0);
      const ports =
        (((bytes[l4] << 8) | bytes[l4 + 1]) << 16) | (bytes[l4 + 2] << 8) | bytes[l4 + 3];
      const made = trafficKey(key, src, dst, ports, srcIsn, dstIsn);
      expect(unhex(made)).toBe(traffic);
      const macAt = options.authAt + 2;
      const carried = unhex(bytes.subarray(macAt, macAt + 12));
      expect(unhex(segmentMac(key, made, pkt, l4, macAt, 0, src, dst).subarray(0, 12))).toBe(
        carried,
      );
      // Its extension counts, too.
      expect(unhex(segmentMac(key, made, pkt, l4, macAt, 1, src, dst).subarray(0, 12))).not.toBe(
        carried,
      );
    },
  );
});

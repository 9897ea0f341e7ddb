import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import {
  isOnLoopbackOnly,
  kernelForms,
  listenersOn,
  parseTcpTable,
  tcpSockets,
  tcpTableText,
  uidBetween,
} from "./socket-table.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2000000001        0 4711 1 0 100 0 0 10 0
   1: 0100007F:A1B2 0100007F:0A1F 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
`;

describe("the kernel's table of sockets", () => {
  test("a recorded table is read", () => {
    const sockets = parseTcpTable(TABLE);
    expect(sockets).toHaveLength(2);
    expect(listenersOn(8080, sockets)).toEqual([
      { local: "0100007F:1F90", remote: "00000000:0000", isListening: true, uid: 2_000_000_001, inode: 4711 },
    ]);
  });

  test("the uid between two ends is found in the text, and only between both of them", () => {
    expect(uidBetween(TABLE, ["X", "0100007F:A1B2"], ["Y", "0100007F:0A1F"])).toBe(0);
    expect(uidBetween(TABLE, ["0100007F:1F90"], ["00000000:0000"])).toBe(2_000_000_001);
    expect(uidBetween(TABLE, ["0100007F:A1B2"], ["00000000:0000"])).toBeUndefined();
    expect(uidBetween(TABLE, ["0100007F:0A1F"], ["0100007F:A1B2"])).toBeUndefined();
    expect(uidBetween("", ["0100007F:0A1F"], ["0100007F:A1B2"])).toBeUndefined();
  });

  test.each([
    [["0100007F"], true],
    [["0200017F"], true],
    [["00000000000000000000000001000000"], true],
    [["0000000000000000FFFF00000100007F", "0100007F"], true],
    [["00000000"], false],
    [["0100007F", "0200D40A"], false],
    [["00000000000000000000000000000000"], false],
    [[], false],
  ])("listening on %j is on loopback only: %s", (addresses, answer) => {
    const sockets = addresses.map((address) => {
      return { local: `${address}:1F90`, remote: "", isListening: true, uid: 0, inode: 1 };
    });
    expect(isOnLoopbackOnly(8080, sockets)).toBe(answer);
    expect(isOnLoopbackOnly(8081, sockets)).toBe(false);
  });

  test.each([
    ["127.0.0.1", ["0100007F:1F90", "0000000000000000FFFF00000100007F:1F90"]],
    ["::ffff:127.0.0.1", ["0100007F:1F90", "0000000000000000FFFF00000100007F:1F90"]],
    ["::1", ["00000000000000000000000001000000:1F90"]],
    ["2001:db8::7", ["B80D0120000000000000000007000000:1F90"]],
    ["nonsense", []],
  ])("%s is printed as the kernel does", (address, forms) => {
    expect(kernelForms(address, 8080)).toEqual(forms);
  });

  test("both ends of a real connection are found, with the uid that opened them", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = connect(port, "127.0.0.1");
    await once(client, "connect");
    const forms = kernelForms("127.0.0.1", client.localPort ?? 0);
    const row = tcpSockets().find(({ local, isListening }) => !isListening && forms.includes(local));
    expect(row?.uid).toBe(process.getuid?.());
    expect(kernelForms("127.0.0.1", port)).toContain(row?.remote);
    expect(uidBetween(tcpTableText(), forms, kernelForms("127.0.0.1", port))).toBe(process.getuid?.());
    expect(listenersOn(port)).toHaveLength(1);
    client.destroy();
    server.close();
  });
});

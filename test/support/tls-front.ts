import type { Socket } from "node:net";
import { connect } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import type { TestCertificate } from "./test-ca.ts";

/** Ends TLS before a server of plain HTTP/2 on the loopback. */
export interface TlsFront extends AsyncDisposable {
  readonly port: number;
  /** The serial numbers of the certificates that clients showed, in the order of their connections; "" is none. */
  readonly shown: readonly string[];
  /** Hangs up on everybody; who comes next meets this certificate, and is asked for one of `clientCa` if there is one. */
  change(certificate: TestCertificate, clientCa?: string): void;
  hangUp(): void;
}

/** @param clientCa who signs the certificates of clients; without it none is asked for. */
export async function openTlsFront(
  targetPort: number,
  certificate: TestCertificate,
  clientCa?: string,
): Promise<TlsFront> {
  const sockets = new Set<Socket | TLSSocket>();
  const shown: string[] = [];
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const secrets = ({ cert, key }: TestCertificate, ca: string | undefined) => ({
    ...{ cert, key, ALPNProtocols: ["h2"] },
    ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }),
  });
  const server = createServer(secrets(certificate, clientCa), (client) => {
    // Empty, whatever its type says, of one that showed none.
    const { serialNumber = "" } = client.getPeerCertificate() as { readonly serialNumber?: string };
    shown.push(serialNumber);
    const behind = connect(targetPort, "127.0.0.1");
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        behind.destroy();
      });
    }
    client.pipe(behind).pipe(client);
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { readonly port: number }).port,
    shown,
    change: (next, ca = clientCa) => {
      server.setSecureContext(secrets(next, ca));
      hangUp();
    },
    hangUp,
    [Symbol.asyncDispose]: async () => {
      hangUp();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import type { Clock, Log, SessionId, Settings, TaskKey } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { SessionView, SessionWish } from "../executor.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";
import { Session } from "./session.ts";

/** Ids of sessions whose server is gone that are remembered, so that their callers hear why. */
const MOST_ENDED = 4096;

/** What ties one call to a session: made when the call comes, told of its steps by the call. */
export interface SessionTie {
  /** The only sandbox that the call may run on; `undefined`: any of its task. */
  readonly owner: SandboxOwner | undefined;
  /** It has its slot. @returns the session if this call opened one. */
  placed(owner: SandboxOwner): SessionView | undefined;
  /** Nothing could be sent to where it was placed: it will be placed anew. */
  unreachable(): void;
  /** It is over. @param isHeard whether the caller has its answer, and with it the session's id. */
  settled(isHeard: boolean): void;
}

export interface SessionsHost {
  readonly clock: Clock;
  readonly log: Log;
  settings(): Settings;
  newSessionId(): SessionId;
  /** Something is due then that only time decides. */
  armFor(dueMs: number): void;
}

/**
 * Who has a claim to meet the very same server again. A session pins one sandbox, so that it is neither evicted, frozen, idle
 * nor replaced; it ends by its idle life, its longest life, its owner's word, or with its server, and never moves to another.
 * A hold is the same without an id: it keeps a sandbox for whoever calls its task next.
 */
export class Sessions {
  readonly #host: SessionsHost;
  readonly #open = new Map<SessionId, Session>();
  readonly #holds = new Map<SandboxOwner, Session>();
  readonly #ended = new Map<SessionId, string>();
  /** Sessions and holds whose call has not its slot yet. */
  #opening = 0;

  constructor(host: SessionsHost) {
    this.#host = host;
  }

  /**
   * Ties a call of a task to the session that it wishes for.
   *
   * @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED; INPUT_INVALID for a session of another task; QUEUE_FULL.
   */
  tie(wish: SessionWish, taskKey: TaskKey): SessionTie {
    if (wish.type === "hold") return this.#hold(taskKey);
    if (wish.type === "open") return this.#opener();
    const session = this.#find(wish.sessionId);
    if (session.owner.taskKey !== taskKey) {
      const reason = "the session is for another task than the one that the call names";
      throw new ExecutorError("INPUT_INVALID", { field: "session", reason });
    }
    session.begin();
    return {
      owner: session.owner,
      placed: () => undefined,
      unreachable: () => undefined,
      settled: () => this.#callEnded(session),
    };
  }

  /** @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED. */
  view(sessionId: SessionId): SessionView {
    return this.#find(sessionId).view(this.#host.clock.nowMs());
  }

  /** Sessions and holds, the oldest first. */
  list(): readonly SessionView[] {
    const nowMs = this.#host.clock.nowMs();
    return this.#all()
      .map((session) => session.view(nowMs))
      .sort((a, b) => b.ageMs - a.ageMs);
  }

  /** At its owner's word. @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED. */
  end(sessionId: SessionId): void {
    this.#close(this.#find(sessionId), "asked");
  }

  /** The sandbox takes no more calls: what is pinned to it ends, and its callers will hear so. */
  lost(owner: SandboxOwner): void {
    for (const session of this.#all()) {
      if (session.owner === owner) this.#close(session, "its server is gone");
    }
  }

  /** For a pause or the end: nothing is kept back from it. */
  endAll(reason: string): void {
    for (const session of this.#all()) this.#close(session, reason);
  }

  expire(nowMs: number): void {
    for (const session of this.#all()) if (session.isExpired(nowMs)) this.#close(session, "expired");
  }

  /** When the next one runs out; infinity for never. */
  nextDueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const session of this.#all()) dueMs = Math.min(dueMs, session.dueMs);
    return dueMs;
  }

  #opener(): SessionTie {
    this.#takeSeat();
    const sessionId = this.#host.newSessionId();
    let session: Session | undefined;
    return {
      owner: undefined,
      placed: (owner) => {
        this.#opening -= 1;
        session = this.#begin(owner, sessionId);
        this.#open.set(sessionId, session);
        return session.view(this.#host.clock.nowMs());
      },
      unreachable: () => {
        if (session === undefined) return;
        this.#remove(session);
        session = undefined;
        this.#opening += 1;
      },
      settled: (isHeard) => {
        if (session === undefined) this.#opening -= 1;
        else {
          this.#callEnded(session);
          // Nobody knows its id.
          if (!isHeard) this.#close(session, "abandoned");
        }
      },
    };
  }

  #hold(taskKey: TaskKey): SessionTie {
    let session: Session | undefined;
    // One more call of a task that is held already keeps nothing more from others.
    let hasSeat = ![...this.#holds.keys()].some((owner) => owner.taskKey === taskKey);
    if (hasSeat) this.#takeSeat();
    const giveSeat = (): void => {
      if (hasSeat) this.#opening -= 1;
      hasSeat = false;
    };
    return {
      owner: undefined,
      placed: (owner) => {
        giveSeat();
        session = this.#holds.get(owner);
        if (session === undefined) {
          session = this.#begin(owner, undefined);
          this.#holds.set(owner, session);
        } else session.begin();
        return undefined;
      },
      unreachable: () => {
        session = undefined;
      },
      settled: () => {
        giveSeat();
        if (session !== undefined) this.#callEnded(session);
      },
    };
  }

  /** @throws {@link ExecutorError} QUEUE_FULL. */
  #takeSeat(): void {
    const limit = this.#host.settings().sessionLimit;
    if (this.#open.size + this.#holds.size + this.#opening >= limit) {
      throw new ExecutorError("QUEUE_FULL", { reason: "too many sessions are open already", limit });
    }
    this.#opening += 1;
  }

  #begin(owner: SandboxOwner, sessionId: SessionId | undefined): Session {
    const session = new Session(owner, sessionId, this.#host);
    owner.pin(session);
    session.begin();
    this.#log("session.opened", session, {});
    return session;
  }

  #callEnded(session: Session): void {
    session.callEnded();
    if (session.isOpen) this.#host.armFor(session.dueMs);
  }

  #find(sessionId: SessionId): Session {
    const session = this.#open.get(sessionId);
    if (session !== undefined && !session.isExpired(this.#host.clock.nowMs())) return session;
    const reason = this.#ended.get(sessionId);
    if (reason !== undefined) throw new ExecutorError("SESSION_ENDED", { reason });
    throw new ExecutorError("SESSION_NOT_FOUND");
  }

  #close(session: Session, reason: string): void {
    if (!session.isOpen) return;
    const { sessionId } = session;
    const isOrdinary = reason === "asked" || reason === "expired" || reason === "abandoned";
    if (sessionId !== undefined && !isOrdinary) this.#remember(sessionId, reason);
    this.#log("session.ended", session, { cause: reason });
    this.#remove(session);
  }

  #remove(session: Session): void {
    session.isOpen = false;
    if (session.sessionId === undefined) this.#holds.delete(session.owner);
    else this.#open.delete(session.sessionId);
    session.owner.unpin(session);
  }

  #remember(sessionId: SessionId, reason: string): void {
    this.#ended.set(sessionId, reason);
    if (this.#ended.size <= MOST_ENDED) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      return;
    }
  }

  #all(): readonly Session[] {
    return this.#open.size + this.#holds.size === 0
      ? NONE
      : [...this.#open.values(), ...this.#holds.values()];
  }

  /** Whoever has a session's id may use it, so a log has none. */
  #log(event: "session.opened" | "session.ended", { owner, sessionId }: Session, facts: object): void {
    const type = sessionId === undefined ? "hold" : "session";
    this.#host.log.log("info", event, { sandboxId: owner.id, image: owner.task.image, type, ...facts });
  }
}

const NONE: readonly Session[] = [];

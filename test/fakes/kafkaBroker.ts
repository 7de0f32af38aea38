/**
 * One Kafka broker in memory, on a loopback socket: the requests that our consumer sends, with
 * errors, damage and silence on demand. A group has one member at a time; the conformance tests use
 * real brokers for everything else.
 */
import type { Socket, TCPSocketListener } from "bun";
import { ALL_API, API, type RequestName } from "#consumer/wire/protocol.ts";
import { Reader, Writer } from "#consumer/wire/wire.ts";
import { agreement, emptyLog, endOf, type FakeLog } from "./kafkaLog.ts";
import { scratchHandlers } from "./scratchRequests.ts";

/** A topic. */
export interface FakeTopic {
  id: string;
  partitions: FakeLog[];
  /** Error code in metadata answers. */
  code: number;
}

interface Connection {
  buffered: Buffer;
  answering: Promise<void>;
}

const NAMES = new Map(Object.entries(ALL_API).map(([name, { key }]) => [key, name as RequestName]));

/** The broker. */
export class FakeKafka {
  readonly topics: Map<string, FakeTopic> = new Map();
  readonly committed: Map<string, bigint> = new Map();
  readonly removedGroups: string[] = [];
  /** Error codes for the next answers to a request, first come first served. */
  readonly errors: Map<RequestName, number[]> = new Map();
  readonly requests: RequestName[] = [];
  /** Requests that are never answered. */
  readonly silent: Set<RequestName> = new Set();
  /** How many of the next fetch answers get one bit changed in their last byte. */
  damagedReads = 0;
  /** Highest version announced for every request; null: just what is needed. */
  versionMax: number | null = null;
  generation = 0;
  memberId = "";
  lastSubscription: Uint8Array = new Uint8Array(0);
  private assignment: Uint8Array = new Uint8Array(0);
  private ids = 0;
  private waiting: (() => void)[] = [];
  private readonly server: TCPSocketListener<Connection>;

  constructor() {
    this.server = Bun.listen<Connection>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = { buffered: Buffer.alloc(0), answering: Promise.resolve() };
        },
        data: (socket, bytes) => this.receive(socket, bytes),
      },
    });
  }

  get address(): string {
    return `127.0.0.1:${this.server.port}`;
  }

  stop(): void {
    this.server.stop(true);
    this.wake();
  }

  /** Creates a topic, in place of one of the same name. */
  topic(name: string, partitions = 1): FakeTopic {
    const id = `00000000-0000-4000-8000-${String(++this.ids).padStart(12, "0")}`;
    const topic = { id, code: 0, partitions: Array.from({ length: partitions }, emptyLog) };
    this.topics.set(name, topic);
    return topic;
  }

  append(name: string, partition: number, ...batches: Buffer[]): void {
    const log = this.topics.get(name)?.partitions[partition];
    if (log === undefined) throw new Error(`no partition ${name}/${partition}`);
    for (const batch of batches) {
      log.batches.push(batch);
      log.end = endOf(batch);
    }
    this.wake();
  }

  /** The next answers to `api` carry these codes. */
  failNext(api: RequestName, ...codes: number[]): void {
    this.errors.set(api, [...(this.errors.get(api) ?? []), ...codes]);
  }

  count(api: RequestName): number {
    return this.requests.filter((name) => name === api).length;
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const done of waiting) done();
  }

  private receive(socket: Socket<Connection>, bytes: Buffer): void {
    const { data } = socket;
    data.buffered = Buffer.concat([data.buffered, bytes]);
    while (data.buffered.length >= 4) {
      const size = data.buffered.readInt32BE(0);
      if (data.buffered.length < 4 + size) return;
      const frame = data.buffered.subarray(4, 4 + size);
      data.buffered = data.buffered.subarray(4 + size);
      data.answering = data.answering.then(() => this.answer(socket, frame));
    }
  }

  private async answer(socket: Socket<Connection>, frame: Buffer): Promise<void> {
    const r = new Reader(frame);
    const api = NAMES.get(r.int16());
    r.int16();
    const correlationId = r.int32();
    r.string();
    if (api === undefined) throw new Error("unknown request");
    this.requests.push(api);
    if (this.silent.has(api)) return;
    const w = new Writer().int32(correlationId);
    if (ALL_API[api].flexible) {
      r.skipTags();
      w.noTags();
    }
    const code = this.errors.get(api)?.shift() ?? 0;
    await this.handlers[api](r, w, code);
    const body = w.finish();
    const size = Buffer.alloc(4);
    size.writeInt32BE(body.length);
    writeAll(socket, Buffer.concat([size, body]));
  }

  private readonly handlers: Record<
    RequestName,
    (r: Reader, w: Writer, code: number) => void | Promise<void>
  > = {
    ApiVersions: (_r, w) => {
      w.int16(0).array(Object.values(API), ({ key, version }) => {
        w.int16(key)
          .int16(0)
          .int16(this.versionMax ?? version);
      });
    },
    Metadata: (r, w) => this.metadata(r, w),
    FindCoordinator: (_r, w, code) => {
      w.int32(0).int16(code).string(null).int32(1).string("127.0.0.1").int32(this.server.port);
    },
    JoinGroup: (r, w, code) => this.join(r, w, code),
    SyncGroup: (r, w, code) => {
      r.string();
      r.int32();
      r.string();
      r.string();
      r.array(() => {
        r.string();
        this.assignment = Uint8Array.from(r.bytes());
      });
      w.int32(0)
        .int16(code)
        .bytes(code === 0 ? this.assignment : new Uint8Array(0));
    },
    Heartbeat: (_r, w, code) => void w.int32(0).int16(code),
    LeaveGroup: (_r, w, code) =>
      void w
        .int32(0)
        .int16(code)
        .array([], () => undefined),
    ListOffsets: (r, w, code) => this.listOffsets(r, w, code),
    OffsetFetch: (r, w, code) => this.offsetFetch(r, w, code),
    OffsetCommit: (r, w, code) => this.offsetCommit(r, w, code),
    Fetch: (r, w, code) => this.fetch(r, w, code),
    ...scratchHandlers(this),
  };

  private metadata(r: Reader, w: Writer): void {
    const asked = r.compactArray(() => {
      r.uuid();
      const name = r.compactString() ?? "";
      r.skipTags();
      return name;
    });
    // A null array reads as empty: all topics.
    const names = asked.length === 0 ? [...this.topics.keys()] : asked;
    w.int32(0).compactArray([this.server.port], (port) => {
      w.int32(1).compactString("127.0.0.1").int32(port).uvarint(0).noTags();
    });
    w.compactString("fake-cluster").int32(1);
    w.compactArray(names, (name) => {
      const topic = this.topics.get(name);
      w.int16(topic?.code ?? 3).compactString(name);
      w.uuid(topic?.id ?? "00000000-0000-0000-0000-000000000000").int8(0);
      w.compactArray(topic?.partitions ?? [], (log) => {
        const partition = topic?.partitions.indexOf(log) ?? 0;
        w.int16(0).int32(partition).int32(1).int32(0);
        for (let i = 0; i < 3; i++) w.compactArray([1], (id) => w.int32(id));
        w.noTags();
      });
      w.int32(0).noTags();
    });
    w.noTags();
  }

  private join(r: Reader, w: Writer, code: number): void {
    r.string();
    r.int32();
    r.int32();
    const memberId = r.string() ?? "";
    r.string();
    r.string();
    const [protocol] = r.array(() => {
      const name = r.string();
      this.lastSubscription = Uint8Array.from(r.bytes());
      return name;
    });
    this.memberId = memberId === "" ? `member-${this.requests.length}` : memberId;
    if (code === 0) this.generation++;
    w.int32(0)
      .int16(code)
      .int32(this.generation)
      .string(protocol ?? null);
    w.string(this.memberId).string(this.memberId);
    w.array(code === 0 ? [this.lastSubscription] : [], (subscription) => {
      w.string(this.memberId).string(null).bytes(subscription);
    });
  }

  private listOffsets(r: Reader, w: Writer, code: number): void {
    r.int32();
    const committed = r.int8() === 1;
    const asked = r.array(() => ({
      topic: r.string() ?? "",
      partitions: r.array(() => {
        const partition = r.int32();
        r.int32();
        return { partition, timestamp: r.int64() };
      }),
    }));
    w.int32(0).array(asked, ({ topic, partitions }) => {
      w.string(topic).array(partitions, ({ partition, timestamp }) => {
        const log = this.topics.get(topic)?.partitions[partition];
        const end = committed ? (log?.stable ?? log?.end) : log?.end;
        const first = log?.batches.find((b) => b.readBigInt64BE(35) >= timestamp);
        const byTime = first?.readBigInt64BE(0) ?? -1n;
        const offset = timestamp === -2n ? log?.logStart : timestamp === -1n ? end : byTime;
        w.int32(partition)
          .int16(code)
          .int64(-1n)
          .int64(offset ?? -1n)
          .int32(-1);
      });
    });
  }

  private offsetFetch(r: Reader, w: Writer, code: number): void {
    r.string();
    const asked = r.array(() => ({ topic: r.string() ?? "", list: r.array(() => r.int32()) }));
    w.int32(0).array(asked, ({ topic, list }) => {
      w.string(topic).array(list, (partition) => {
        const offset = this.committed.get(`${topic}/${partition}`) ?? -1n;
        w.int32(partition).int64(offset).int32(-1).string(null).int16(0);
      });
    });
    w.int16(code);
  }

  private offsetCommit(r: Reader, w: Writer, code: number): void {
    r.string();
    r.int32();
    r.string();
    r.string();
    const done = r.array(() => {
      const topic = r.string() ?? "";
      const partitions = r.array(() => {
        const partition = r.int32();
        this.committed.set(`${topic}/${partition}`, r.int64());
        r.int32();
        r.string();
        return partition;
      });
      return { topic, partitions };
    });
    w.int32(0).array(done, ({ topic, partitions }) => {
      w.string(topic).array(partitions, (partition) => w.int32(partition).int16(code));
    });
  }

  private async fetch(r: Reader, w: Writer, code: number): Promise<void> {
    r.int32();
    const waitMs = r.int32();
    r.int32();
    r.int32();
    r.int8();
    r.int32();
    r.int32();
    const asked = r.compactArray(() => {
      const id = r.uuid();
      const partitions = r.compactArray(() => {
        const partition = r.int32();
        r.int32();
        const offset = r.int64();
        const lastEpoch = r.int32();
        r.int64();
        r.int32();
        r.skipTags();
        return { partition, offset, lastEpoch };
      });
      r.skipTags();
      return { id, partitions };
    });
    const something = (): boolean =>
      code !== 0 ||
      asked.some(({ id, partitions }) =>
        partitions.some(({ partition, offset }) => {
          const log = this.log(id, partition);
          return log === undefined || offset !== log.end || log.preferredReplica >= 0;
        }),
      );
    const appended = new Promise<void>((resolve) => void this.waiting.push(resolve));
    if (!something()) await Promise.race([Bun.sleep(waitMs), appended]);
    w.int32(0).int16(0).int32(0);
    w.compactArray(asked, ({ id, partitions }) => {
      w.uuid(id).compactArray(partitions, (item) => this.fetched(w, id, item, code));
      w.noTags();
    });
    w.noTags();
  }

  private log(id: string, partition: number): FakeLog | undefined {
    return [...this.topics.values()].find((topic) => topic.id === id)?.partitions[partition];
  }

  private fetched(
    w: Writer,
    id: string,
    { partition, offset, lastEpoch }: { partition: number; offset: bigint; lastEpoch: number },
    scripted: number,
  ): void {
    const log = this.log(id, partition);
    if (log === undefined || scripted !== 0) {
      w.int32(partition).int16(scripted === 0 ? 100 : scripted);
      w.int64(-1n).int64(-1n).int64(-1n).uvarint(1).int32(-1).uvarint(1).noTags();
      return;
    }
    const agreed = agreement(log, lastEpoch);
    const diverges = agreed !== null && (agreed.epoch < lastEpoch || agreed.end < offset);
    const outside = offset < log.logStart || (!diverges && offset > log.end);
    const code = outside ? 1 : 0;
    w.int32(partition)
      .int16(code)
      .int64(log.end)
      .int64(log.stable ?? log.end)
      .int64(log.logStart);
    w.compactArray(log.aborted, ({ producerId, firstOffset }) => {
      w.int64(producerId).int64(firstOffset).noTags();
    });
    const replica = log.preferredReplica;
    log.preferredReplica = -1;
    const whole = code === 0 && replica < 0 && !diverges;
    const records = whole ? this.records(log, offset) : Buffer.alloc(0);
    w.int32(replica)
      .uvarint(records.length + 1)
      .raw(records);
    if (!diverges || outside) {
      w.noTags();
      return;
    }
    // One tagged field: number 0, 13 bytes, an EpochEndOffset.
    w.uvarint(1).uvarint(0).uvarint(13);
    w.int32(agreed.epoch).int64(agreed.end).noTags();
  }

  private records(log: FakeLog, offset: bigint): Buffer {
    const batches = log.batches.filter((batch) => endOf(batch) > offset);
    const records = Buffer.concat(batches);
    const first = batches[0];
    if (first !== undefined && this.damagedReads > 0) {
      this.damagedReads--;
      records.writeUInt8(records.readUInt8(first.length - 1) ^ 1, first.length - 1);
    }
    return records;
  }
}

/** Loopback sockets take all of our small answers at once; larger ones are written on. */
function writeAll(socket: Socket<Connection>, bytes: Buffer): void {
  const written = socket.write(bytes);
  if (written < bytes.length && written >= 0) {
    setTimeout(() => writeAll(socket, bytes.subarray(written)), 1);
  }
}

// Every resource of a sandbox has a limit, and they all stand here. Reaching one gives the program
// Linux's errno (named beside it); the sandbox stays healthy.

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export interface Limits {
  /** Application memory: the memory file's allocated bytes. ENOMEM, or SIGBUS at a fault. */
  memoryBytes: number;
  /** Tasks (threads of all processes). EAGAIN. */
  tasks: number;
  /** CPU time per time, in thousandths of a CPU; tasks wait for more. 0: as much as the host gives. */
  millicores: number;
  /** Open file descriptions. ENFILE. */
  files: number;
  /** Descriptors per process: the hard RLIMIT_NOFILE. EMFILE. */
  descriptorsPerProcess: number;
  /** Bytes in all tmpfs and overlay upper files together. ENOSPC. */
  tmpfsBytes: number;
  /** Inodes in all in-memory file systems. ENOSPC. */
  inodes: number;
  /** Mappings per address space (vm.max_map_count). ENOMEM. */
  mappings: number;
  /** Bytes in one pipe (fs.pipe-max-size). EPERM. */
  pipeBytesMax: number;
  /** Sockets of all kinds. ENOBUFS. */
  sockets: number;
  /** TCP connections past the handshake, TIME_WAIT not counted. */
  connections: number;
  /** Half-open TCP connections over all listeners; above it SYNs are dropped or answered by cookies. */
  halfOpenConnections: number;
  timeWaitConnections: number;
  /** Keys that TCP connections are signed with (TCP_MD5SIG, TCP_AO_ADD_KEY), over all sockets. ENOMEM. */
  signingKeys: number;
  /** Send and receive buffer bytes of one socket (net.core.[rw]mem_max, tcp_[rw]mem[2]). */
  socketBufferBytesMax: number;
  /** Buffer bytes of all sockets together. */
  socketMemoryBytes: number;
  /** Bytes held for reassembly, per address family. */
  reassemblyBytes: number;
  neighborEntries: number;
  /** Routes, counting each of several next hops, and (another as many, of each family) rules. ENOBUFS. */
  routes: number;
  /** Network interfaces, VLANs among them. ENOBUFS. */
  interfaces: number;
  /** Packets queued to one unresolved neighbour. */
  neighborQueuePackets: number;
  /** ICMP errors sent per second, over all destinations. */
  icmpErrorsPerSecond: number;
  /** Of the link, each way, frames from the Ethernet header on; more waits, and is dropped. 0: as fast as it goes. */
  linkBitsPerSecond: number;
  /** Timers of timer_create() in all processes. EAGAIN. A stack's own are bounded by its connections and entries. */
  timers: number;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  memoryBytes: 4 * GiB,
  tasks: 4096,
  millicores: 0,
  files: 65_536,
  descriptorsPerProcess: 65_536,
  tmpfsBytes: 2 * GiB,
  inodes: 1_000_000,
  mappings: 65_530,
  pipeBytesMax: 1 * MiB,
  sockets: 32_768,
  connections: 16_384,
  halfOpenConnections: 4_096,
  timeWaitConnections: 16_384,
  signingKeys: 65_536,
  socketBufferBytesMax: 6 * MiB,
  socketMemoryBytes: 512 * MiB,
  reassemblyBytes: 4 * MiB,
  neighborEntries: 1_024,
  routes: 4_096,
  interfaces: 256,
  neighborQueuePackets: 64,
  icmpErrorsPerSecond: 1_000,
  linkBitsPerSecond: 0,
  timers: 65_536,
};

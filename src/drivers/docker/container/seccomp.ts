/**
 * The system calls that a task's server may make, by what they are for. One architecture and no 32-bit twins: stricter than
 * the profiles that engines bring, and their filter is built in 10 ms less (`performance.md` section 1.2). What is missing
 * here answers EPERM: mounting, namespaces, modules, keys, clocks, tracing from outside, io_uring, bpf, userfaultfd.
 */
const FILES = `
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
  fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
  fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat
  mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead
  readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink
  symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
  io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit name_to_handle_at`;

const MEMORY = `
  brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
  pkey_alloc pkey_free pkey_mprotect remap_file_pages map_shadow_stack cachestat
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink
  msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget`;

const PROCESSES = `
  capget capset execve execveat exit exit_group fork get_robust_list getcpu getegid geteuid getgid getgroups getpgid getpgrp
  getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64
  process_mrelease rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
  sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
  seccomp set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid
  setresuid setreuid setrlimit setsid setuid sysinfo tgkill times tkill uname vfork wait4 waitid ptrace`;

const SIGNALS_AND_TIME = `
  alarm adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep futex futex_requeue futex_wait futex_waitv
  futex_wake getitimer gettimeofday nanosleep pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask
  rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack signalfd signalfd4 time
  timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime`;

const SOCKETS_AND_WAITING = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto
  setsockopt shutdown socketpair epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
  poll ppoll pselect6 select getrandom`;

interface Architecture {
  readonly name: string;
  readonly names: string;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  amd64: { name: "SCMP_ARCH_X86_64", names: "arch_prctl modify_ldt" },
  arm64: { name: "SCMP_ARCH_AARCH64", names: "" },
};

/** Every CLONE_NEW* flag: making a process may not make a namespace. */
const NEW_NAMESPACE_FLAGS = 0x7e020000;
/** Sockets into the virtual machine's host would pass every network of ours by. */
const AF_VSOCK = 40;
const ENOSYS = 38;
/** Execution domains that change nothing but how a program sees its addresses; the last one only asks. */
const PERSONALITIES = [0, 0x0008, 0x20000, 0x20008, 0xffffffff] as const;

/**
 * Our seccomp profile as an engine takes it inline.
 *
 * @param architecture as engines call it.
 * @returns `undefined` where we have none: there the engine's own profile holds.
 */
export function seccompProfile(architecture: string): string | undefined {
  const machine = ARCHITECTURES[architecture];
  if (machine === undefined) return undefined;
  const names = [FILES, MEMORY, PROCESSES, SIGNALS_AND_TIME, SOCKETS_AND_WAITING, machine.names]
    .flatMap((group) => group.split(/\s+/))
    .filter((name) => name !== "");
  return JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: [machine.name],
    syscalls: [
      allow(names),
      allow(["socket"], { index: 0, value: AF_VSOCK, op: "SCMP_CMP_NE" }),
      allow(["clone"], { index: 0, value: NEW_NAMESPACE_FLAGS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }),
      // Its flags lie in memory, where no filter sees them: the C library then uses the one above.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
      ...PERSONALITIES.map((value) => allow(["personality"], { index: 0, value, op: "SCMP_CMP_EQ" })),
    ],
  });
}

interface Condition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

function allow(names: readonly string[], condition?: Condition): object {
  return { names, action: "SCMP_ACT_ALLOW", args: condition === undefined ? [] : [condition] };
}

/*
 * Starts the processes of sandboxes for a daemon that is too large to fork itself, in two steps:
 *
 *   spawner serve
 *     Fd 3 is a socket to the daemon. Requests and reports on it are told in wire.ts. For each request it makes pipes for the new process's
 *     output, forks, and in the child opens the files of its cgroups, sets limits, enters or makes a network, and
 *     executes. What comes out of the pipes is passed on over that one socket. A view of the files that bubblewrap has made for one process is kept on request, and copied for others: what is
 *     started behind such a copy has a first process of its own, which is this program still, and takes the last step without executing it.
 *     When fd 3 ends, so has the daemon: every process below this one is killed, orphans included, before it ends itself.
 *
 *   spawner stand
 *     Says `begun` at fd 5 and waits for its end: what the first process of a view to be kept runs.
 *
 *   spawner enter SETTING... -- NAME=VALUE... -- COMMAND...
 *     Runs as what was executed, in bubblewrap where there is one: joins the cgroups whose files it was left (`join=` how many), so
 *     that what came before is not counted as the task's; gives up what `nnp` and `uid=` say, binds itself to its parent's life
 *     (`tie`), goes to `dir=`, says `begun` at fd 5 (`begin`) and becomes the command.
 *
 * Exit codes of its own: 125, what belongs to the sandbox failed; 126, the folder or the program cannot be used; 127, there is no
 * such program. It needs no library. Built for two machines by scripts/build-program.sh into bytes.ts.
 */

typedef unsigned long word;
typedef long answer;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, RT_SIGPROCMASK = 14, IOCTL = 16, NANOSLEEP = 35, GETPID = 39, SOCKET = 41,
       CLONE = 56, EXECVE = 59, WAIT4 = 61, KILL = 62, FCNTL = 72, CHDIR = 80, FCHOWN = 93, UMASK = 95, GETPPID = 110, SETSID = 112, SETGROUPS = 116, SETRESUID = 117, SETRESGID = 119,
       CAPSET = 126, PRCTL = 157, MOUNT = 165, SETHOSTNAME = 170, EXIT_GROUP = 231, EPOLL_CTL = 233, WAITID = 247, OPENAT = 257, MKDIRAT = 258, UNLINKAT = 263, READLINKAT = 267, PPOLL = 271, UNSHARE = 272, EPOLL_PWAIT = 281, SIGNALFD4 = 289, EPOLL_CREATE1 = 291, DUP3 = 292,
       PIPE2 = 293, PRLIMIT64 = 302, SETNS = 308, KEYCTL = 250, SECCOMP = 317, OPEN_TREE = 428, MOVE_MOUNT = 429, CLOSE_RANGE = 436, MOUNT_SETATTR = 442 };

/* As system calls are told from each other, and where the three on keys begin: here, and in programs of the 32-bit machine. */
enum { MACHINE = 0xc000003e, FIRST_ON_KEYS = 248, FIRST_ON_KEYS_32 = 286 };

static inline answer call(word number, word a, word b, word c, word d, word e) {
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = e;
  answer result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, RT_SIGPROCMASK = 135, IOCTL = 29, NANOSLEEP = 101, SOCKET = 198, FCNTL = 25, EPOLL_CREATE1 = 20, EPOLL_CTL = 21, EPOLL_PWAIT = 22,
       CLONE = 220, EXECVE = 221, WAIT4 = 260, KILL = 129, CHDIR = 49, FCHOWN = 55, SETSID = 157, SETGROUPS = 159, SETRESUID = 147,
       SETRESGID = 149, CAPSET = 91, PRCTL = 167, GETPID = 172, GETPPID = 173, EXIT_GROUP = 94, WAITID = 95, OPENAT = 56, PPOLL = 73, UNSHARE = 97, SIGNALFD4 = 74,
       DUP3 = 24, PIPE2 = 59, PRLIMIT64 = 261, SETNS = 268, MKDIRAT = 34, UNLINKAT = 35, READLINKAT = 78, MOUNT = 40, SETHOSTNAME = 161, UMASK = 166, KEYCTL = 219, SECCOMP = 277, OPEN_TREE = 428,
       MOVE_MOUNT = 429, CLOSE_RANGE = 436, MOUNT_SETATTR = 442 };

enum { MACHINE = 0xc00000b7, FIRST_ON_KEYS = 217, FIRST_ON_KEYS_32 = 309 };

static inline answer call(word number, word a, word b, word c, word d, word e) {
  register word x8 __asm__("x8") = number;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return (answer)x0;
}

__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");
#else
#error "written for x86-64 and arm64"
#endif

enum { ENOENT = 2, EINTR = 4, EIO = 5, E2BIG = 7, ENOEXEC = 8, EBADF = 9, EAGAIN = 11, EACCES = 13, EEXIST = 17, ENOTDIR = 20, EINVAL = 22, EMFILE = 24, ENOSYS = 38 };
enum { SIGHUP = 1, SIGINT = 2, SIGKILL = 9, SIGPIPE = 13, SIGTERM = 15, SIGCHLD = 17 };
enum { AT_FDCWD = -100, O_WRONLY = 1, O_CREAT = 0100, O_EXCL = 0200, O_NONBLOCK = 04000, O_CLOEXEC = 02000000, NO_HANG = 1 };
enum { NEW_FILES = 0x00020000, NEW_CGROUP = 0x02000000, NEW_NAME = 0x04000000, NEW_IPC = 0x08000000, NEW_PID = 0x20000000, NEW_NET = 0x40000000 };
enum { READ_ONLY = 1, NO_SETUID = 2, NO_DEVICES = 4, NO_EXECUTE = 8, REMOUNT = 32, BIND = 4096, RECURSIVE = 16384, SLAVE = 1 << 19 };
enum { AT_REMOVEDIR = 0x200 };
enum { SET_FLAGS = 2, SET_STATUS = 4, PIPE_SIZE = 1032 };
enum { READABLE = 1, ADD = 1, REMOVE = 2 };
enum { OPEN_TREE_CLONE = 1, AT_EMPTY_PATH = 0x1000, AT_RECURSIVE = 0x8000, FROM_FILE_ITSELF = 4 };
enum { RLIMIT_CORE = 4, RLIMIT_NOFILE = 7 };
enum { PDEATHSIG = 1, CAPBSET_DROP = 24, CHILD_SUBREAPER = 36, NO_NEW_PRIVS = 38, CAP_AMBIENT = 47, CAP_AMBIENT_CLEAR_ALL = 4 };

/* Descriptors. What is started has those from 0 to 6; ours lie above. */
enum { STATUS = 3, PASSWD = 4, BEGUN = 5, SELF = 6, FIRST_FREE = 10, FIRST_VIEW = 64, MOST_VIEWS = 32, FIRST_CGROUP = 100, MOST_INHERITED = 4096 };

enum { FAILED_SANDBOX = 125, FAILED_PROGRAM = 126, NO_PROGRAM = 127 };

/* What compilers call of themselves. */

__attribute__((used)) void *memset(void *to, int value, word length) {
  for (word i = 0; i < length; i++) ((char *)to)[i] = (char)value;
  return to;
}

__attribute__((used)) void *memcpy(void *to, const void *from, word length) {
  for (word i = 0; i < length; i++) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

struct time { long seconds, nanoseconds; };
struct limit { word soft, hard; };
/* As the kernel lays it out on either machine. */
#if defined(__x86_64__)
struct event { unsigned what; word place; } __attribute__((packed));
#else
struct event { unsigned what; word place; };
#endif

static void leave(int status) {
  for (;;) call(EXIT_GROUP, (word)status, 0, 0, 0, 0);
}

static int length_of(const char *text) {
  int length = 0;
  while (text[length] != 0) length++;
  return length;
}

/** What follows `name` at the start of a text, or 0. */
static const char *after(const char *text, const char *name) {
  while (*name != 0)
    if (*text++ != *name++) return 0;
  return text;
}

static int is_same(const char *a, const char *b) {
  const char *rest = after(a, b);
  return rest != 0 && *rest == 0;
}

static long number_of(const char *text) {
  long value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return value;
}

static char *put(char *at, const char *end, const char *text) {
  while (*text != 0 && at < end) *at++ = *text++;
  return at;
}

static char *put_number(char *at, const char *end, long value) {
  char digits[24];
  int first = sizeof digits;
  digits[--first] = 0;
  do digits[--first] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  return put(at, end, digits + first);
}

/** One line on the standard error of what is being started, which its log keeps; then the end. */
static void fail(int status, const char *what, const char *which, answer result) {
  char line[512];
  const char *end = line + sizeof line - 1;
  char *at = put(line, end, "hearth: ");
  at = put(at, end, what);
  at = put(at, end, " ");
  at = put(at, end, which);
  at = put(at, end, " (errno ");
  at = put_number(at, end, -result);
  at = put(at, end, ")");
  *at++ = '\n';
  call(WRITE, 2, (word)line, (word)(at - line), 0, 0);
  leave(status);
}

static void must(answer result, const char *what, const char *which) {
  if (result < 0) fail(FAILED_SANDBOX, what, which, result);
}

/** Closes all from `first` on; before Linux 5.9, or where that call is refused, those below `bound`. */
static void close_from(word first, word bound) {
  if (call(CLOSE_RANGE, first, 0xffffffff, 0, 0, 0) == 0) return;
  for (word fd = first; fd < bound; fd++) call(CLOSE, fd, 0, 0, 0, 0);
}

/** From here on it ends with its parent, which must be `parent` still: one that went before is not told of. */
static void tie_to(answer parent) {
  call(PRCTL, PDEATHSIG, SIGKILL, 0, 0, 0);
  if (call(GETPPID, 0, 0, 0, 0, 0) != parent) leave(FAILED_SANDBOX);
}

static answer open_at(const char *path, int flags) {
  return call(OPENAT, (word)AT_FDCWD, (word)path, (word)flags, 0, 0);
}

/** One write of a text to a file of the kernel's. */
static answer write_to(const char *path, const char *text) {
  answer file = open_at(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return file;
  answer result = call(WRITE, (word)file, (word)text, (word)length_of(text), 0, 0);
  call(CLOSE, (word)file, 0, 0, 0, 0);
  return result;
}

/** All of it, or the error. */
static answer write_all(int file, const void *bytes, word length) {
  word done = 0;
  while (done < length) {
    answer count = call(WRITE, (word)file, (word)((const char *)bytes + done), length - done, 0, 0);
    if (count == -EINTR) continue;
    if (count <= 0) return count < 0 ? count : -EIO;
    done += (word)count;
  }
  return 0;
}

/**
 * Takes the kernel's keyrings from this process and all below it, as if there were none: no name space parts them. Who was started from
 * the daemon's session holds what lies in that, and what a user leaves in its own is there for the next sandbox with that uid.
 * A kernel without such filters, and who may not set one, goes without.
 */
static void forbid_keys(void) {
  enum { LOAD = 0x20, IS = 0x15, IS_FROM = 0x35, AND = 0x54, ANSWER = 0x06, REFUSE = 0x50000, ALLOW = 0x7fff0000 };
  static const struct { unsigned short what; unsigned char yes, no; unsigned value; } steps[] = {
    { LOAD, 0, 0, 4 },
    { IS, 0, 4, (unsigned)MACHINE },
    { LOAD, 0, 0, 0 },
    // The bit of x32 makes it no other call.
    { AND, 0, 0, 0x3fffffff },
    { IS_FROM, 5, 0, FIRST_ON_KEYS + 3 },
    { IS_FROM, 3, 4, FIRST_ON_KEYS },
    { LOAD, 0, 0, 0 },
    { IS_FROM, 2, 0, FIRST_ON_KEYS_32 + 3 },
    { IS_FROM, 0, 1, FIRST_ON_KEYS_32 },
    { ANSWER, 0, 0, REFUSE | ENOSYS },
    { ANSWER, 0, 0, ALLOW },
  };
  struct { unsigned short count; const void *steps; } filter = { sizeof steps / sizeof *steps, steps };
  enum { SET_FILTER = 1, NOT_SLOWER = 4 };
  // Before Linux 4.17 that is not to be asked for.
  if (call(SECCOMP, SET_FILTER, NOT_SLOWER, (word)&filter, 0, 0) == -EINVAL) call(SECCOMP, SET_FILTER, 0, (word)&filter, 0, 0);
}

/* Requests: fields of one letter and a text, each with a zero at its end. */

enum { MOST_BYTES = 1 << 20, MOST_WORDS = 32768 };

static char received[MOST_BYTES] __attribute__((aligned(8)));
static char *words[MOST_WORDS];

struct request { unsigned id; char *at, *end; };

/** The next field at or after `*at`; 0 after the last one. */
static char *next_field(const struct request *request, char **at) {
  if (*at >= request->end) return 0;
  char *field = *at;
  *at += length_of(field) + 1;
  return field;
}

/** The text of the first field with this letter, or 0. */
static char *text_of(const struct request *request, char letter) {
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0)
    if (field[0] == letter) return field + 1;
  return 0;
}

/* The child: what is done as the daemon still, before the program is executed. */

static void raise_loopback(void) {
  struct { char name[16]; short flags; char rest[22]; } wish = { "lo", 0x1 | 0x40, "" };
  answer file = call(SOCKET, 2, 2 | O_CLOEXEC, 0, 0, 0);
  answer result = file < 0 ? file : call(IOCTL, (word)file, 0x8914, (word)&wish, 0, 0);
  if (result < 0) fail(FAILED_SANDBOX, "cannot raise", "lo", result);
  call(CLOSE, (word)file, 0, 0, 0, 0);
}

static void take_network(const struct request *request) {
  const char *path = text_of(request, 'N');
  if (path != 0) {
    answer file = open_at(path, O_CLOEXEC);
    answer result = file < 0 ? file : call(SETNS, (word)file, NEW_NET, 0, 0, 0);
    if (result < 0) fail(FAILED_SANDBOX, "cannot enter the network", path, result);
    call(CLOSE, (word)file, 0, 0, 0, 0);
  }
  if (text_of(request, 'U') != 0) {
    answer result = call(UNSHARE, NEW_NET, 0, 0, 0, 0);
    if (result < 0) fail(FAILED_SANDBOX, "cannot make", "a network", result);
    raise_loopback();
  }
}

/** The folders on the way to a path, and itself. What is there is; what cannot be made is told by who needs it. */
static void make_folders(const char *path) {
  char part[4096];
  int length = 0;
  for (; path[length] != 0 && length < (int)sizeof part - 1; length++) {
    part[length] = path[length];
    part[length + 1] = 0;
    if (path[length + 1] == '/' || path[length + 1] == 0) call(MKDIRAT, (word)AT_FDCWD, (word)part, 0755, 0, 0);
  }
}

static answer make_folder(const char *path) {
  answer result = call(MKDIRAT, (word)AT_FDCWD, (word)path, 0755, 0, 0);
  if (result == -ENOENT) {
    make_folders(path);
    result = call(MKDIRAT, (word)AT_FDCWD, (word)path, 0755, 0, 0);
  }
  return result == -EEXIST ? 0 : result;
}

/** `M` a directory; `Y` a file to write to, or `I` one that may fail, each with its text; `E` what is written where that before it failed. */
static void make_cgroups(const struct request *request) {
  const char *needed = 0;
  answer last = 0;
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0) {
    if (field[0] == 'M') must(make_folder(field + 1), "cannot make", field + 1);
    if (field[0] != 'Y' && field[0] != 'I' && field[0] != 'E') continue;
    const char *text = next_field(request, &at);
    if (text == 0 || *text != 'G') fail(FAILED_SANDBOX, "cannot understand", field, -EINVAL);
    if (field[0] == 'E' && last >= 0) continue;
    if (field[0] != 'E') {
      if (needed != 0) must(last, "cannot set", needed);
      needed = field[0] == 'Y' ? field + 1 : 0;
    }
    last = write_to(field + 1, text + 1);
  }
  if (needed != 0) must(last, "cannot set", needed);
}

/** Opened where they are to be seen, and by who may; written to by the last step. */
static void open_cgroups(const struct request *request) {
  word place = FIRST_CGROUP;
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0) {
    if (field[0] != 'J') continue;
    answer file = open_at(field + 1, O_WRONLY | O_CLOEXEC);
    // Where all below are taken it lies there already, and need only be kept at the execution.
    if (file >= 0) file = (word)file == place ? call(FCNTL, place, SET_FLAGS, 0, 0, 0) : call(DUP3, (word)file, place, 0, 0, 0);
    place++;
    if (file < 0) fail(FAILED_SANDBOX, "cannot open", field + 1, file);
  }
}

static void take_limits(const struct request *request) {
  struct limit none = { 0, 0 };
  call(PRLIMIT64, 0, RLIMIT_CORE, (word)&none, 0, 0);
  const char *files = text_of(request, 'F');
  if (files != 0) {
    struct limit most = { (word)number_of(files), (word)number_of(files) };
    // One that is lower already stays.
    call(PRLIMIT64, 0, RLIMIT_NOFILE, (word)&most, 0, 0);
  }
  const char *score = text_of(request, 'O');
  if (score != 0) write_to("/proc/self/oom_score_adj", score);
}

/* Walls: a view of the files that bubblewrap has made once, and what of it each sandbox has in its own way. */

struct tree { int file; const char *target; };
enum { MOST_TREES = 16 };

static answer mount(const char *source, const char *target, const char *type, word flags, const char *data) {
  return call(MOUNT, (word)source, (word)target, (word)type, flags, (word)data);
}

/** What lies at a path, with all that is mounted below it, to be put elsewhere. Mounts that come there later do come along. */
static answer take_tree(const char *path, word flags) {
  struct { word set, clear, propagation, user; } wanted = { NO_SETUID | NO_DEVICES | flags, 0, SLAVE, 0 };
  answer file = call(OPEN_TREE, (word)AT_FDCWD, (word)path, OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE, 0, 0);
  if (file < 0) return file;
  answer result = call(MOUNT_SETATTR, (word)file, (word) "", AT_EMPTY_PATH | AT_RECURSIVE, (word)&wanted, sizeof wanted);
  return result < 0 ? result : file;
}

static void put_tree(int file, const char *target) {
  must(call(MOVE_MOUNT, (word)file, (word) "", (word)AT_FDCWD, (word)target, FROM_FILE_ITSELF), "cannot mount", target);
  call(CLOSE, (word)file, 0, 0, 0, 0);
}

/** All that the request wants seen, while it can be: `R` to be read only, `B` to be written. */
static int take_trees(const struct request *request, struct tree *trees) {
  int count = 0;
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0) {
    if (field[0] != 'R' && field[0] != 'B') continue;
    const char *target = next_field(request, &at);
    if (target == 0 || *target != 'G' || count == MOST_TREES) fail(FAILED_SANDBOX, "cannot understand", field, -EINVAL);
    answer file = take_tree(field + 1, field[0] == 'B' ? 0 : READ_ONLY);
    must(file, "cannot open", field + 1);
    trees[count].file = (int)file;
    trees[count++].target = target + 1;
  }
  return count;
}

static void make_scratch(const char *target, const char *bytes) {
  char data[64];
  *put(put(data, data + 60, "mode=1777,size="), data + 60, bytes) = 0;
  must(mount("tmpfs", target, "tmpfs", NO_SETUID | NO_DEVICES, data), "cannot mount", target);
}

/** A file of its own in place of one that all have; it has no other name. */
static void put_text(const char *text, const char *target) {
  static const char name[] = "/tmp/passwd";
  answer file = call(OPENAT, (word)AT_FDCWD, (word)name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644, 0);
  must(file, "cannot write", target);
  must(write_all((int)file, text, (word)length_of(text)), "cannot write", target);
  call(CLOSE, (word)file, 0, 0, 0, 0);
  answer tree = take_tree(name, READ_ONLY);
  must(tree, "cannot open", name);
  put_tree((int)tree, target);
  call(UNLINKAT, (word)AT_FDCWD, (word)name, 0, 0, 0);
}

/** As bubblewrap covers them: what can change the host is not to be written, whoever one is. */
static void cover_proc(void) {
  static const char *const changing[] = { "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus" };
  for (int i = 0; i < 4; i++) {
    answer tree = take_tree(changing[i], READ_ONLY);
    if (tree == -ENOENT) continue;
    must(tree, "cannot open", changing[i]);
    put_tree((int)tree, changing[i]);
  }
}

/** Behind walls of its own. Nothing in there can be written by two sandboxes: what can be is mounted anew. */
static void wall_in(const struct request *request, int view) {
  struct tree trees[MOST_TREES];
  int count = take_trees(request, trees);
  const char *scratch = text_of(request, 'Z'), *users = text_of(request, 'P');
  call(UMASK, 022, 0, 0, 0, 0);
  must(call(SETNS, (word)view, NEW_FILES, 0, 0, 0), "cannot enter", "a view");
  must(call(UNSHARE, NEW_FILES | NEW_IPC | NEW_NAME, 0, 0, 0, 0), "cannot copy", "a view");
  must(call(SETHOSTNAME, (word) "task", 4, 0, 0, 0), "cannot name", "the host");
  must(mount(0, "/", 0, RECURSIVE | SLAVE, 0), "cannot mount", "/");
  make_scratch("/tmp", scratch == 0 ? "0" : scratch);
  make_scratch("/dev/shm", scratch == 0 ? "0" : scratch);
  // All sandboxes together have 3072 terminals; none may take them from the others.
  static const char terminals[] = "newinstance,ptmxmode=0666,mode=620,max=256";
  must(mount("devpts", "/dev/pts", "devpts", NO_SETUID | NO_EXECUTE, terminals), "cannot mount", "/dev/pts");
  must(mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | NO_EXECUTE, 0), "cannot mount", "/proc");
  cover_proc();
  if (users != 0) put_text(users, "/etc/passwd");
  for (int i = 0; i < count; i++) {
    make_folders(trees[i].target);
    put_tree(trees[i].file, trees[i].target);
  }
}

/** Where processes behind walls say that their command begins: the number of their request, to the program itself. */
static int begins[2];
static unsigned begins_as;

/** The first process of a sandbox: waits for all that lose their parents, and ends as its child does, which ends all others. */
static void wait_as_first(answer child) {
  struct { unsigned version; int pid; } head = { 0x20080522, 0 };
  unsigned none[6] = { 0, 0, 0, 0, 0, 0 };
  close_from(0, MOST_INHERITED);
  call(PRCTL, NO_NEW_PRIVS, 1, 0, 0, 0);
  if (call(CAPSET, (word)&head, (word)none, 0, 0, 0) < 0) leave(FAILED_SANDBOX);
  for (;;) {
    int status;
    answer pid = call(WAIT4, (word)-1, (word)&status, 0, 0, 0);
    if (pid == child) leave((status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f));
    if (pid < 0 && pid != -EINTR) leave(FAILED_SANDBOX);
  }
}

/** Its parent, as it is called outside: in process ids of its own it has none. */
static answer parent_outside(void) {
  char stat[512];
  answer file = open_at("/proc/self/stat", O_CLOEXEC);
  answer count = file < 0 ? file : call(READ, (word)file, (word)stat, sizeof stat - 1, 0, 0);
  if (file >= 0) call(CLOSE, (word)file, 0, 0, 0, 0);
  if (count <= 0) return -EIO;
  stat[count] = 0;
  const char *end = stat;
  // Its name may hold anything but is closed by the last bracket; then come a state and the parent.
  for (const char *at = stat; *at != 0; at++)
    if (*at == ')') end = at;
  return length_of(end) < 5 ? -EIO : number_of(end + 4);
}

static void enter(char **arguments);

/** Behind walls: this process is the first in there, its child takes the last step. */
static void become_first(void) {
  answer child = call(CLONE, SIGCHLD, 0, 0, 0, 0);
  must(child, "cannot make", "a process");
  if (child != 0) wait_as_first(child);
  word nothing = 0;
  call(RT_SIGPROCMASK, 2, (word)&nothing, 0, sizeof nothing, 0);
  if (!is_same(words[0], "enter")) fail(FAILED_SANDBOX, "cannot understand", words[0], -EINVAL);
  enter(words + 1);
}

static const char *const no_environment[] = { "PATH=/usr/bin:/bin", 0 };

/** @param view of the files, or less than 0 for those of the daemon. */
static void start(const struct request *request, const int *outputs, int passwd, int view, answer parent) {
  word nothing = 0;
  // The parent kills what it leaves; this holds where the parent itself is killed.
  call(PRCTL, PDEATHSIG, SIGKILL, 0, 0, 0);
  if ((view < 0 ? call(GETPPID, 0, 0, 0, 0, 0) : parent_outside()) != parent) leave(FAILED_SANDBOX);
  call(DUP3, (word)outputs[0], 1, 0, 0, 0);
  call(DUP3, (word)outputs[1], 2, 0, 0, 0);
  if (view < 0) call(DUP3, (word)outputs[2], STATUS, 0, 0, 0);
  call(DUP3, (word)(view < 0 ? outputs[2] : begins[1]), BEGUN, 0, 0, 0);
  begins_as = view < 0 ? 0 : request->id;
  if (passwd >= 0) call(DUP3, (word)passwd, PASSWD, 0, 0, 0);
  answer self = open_at("/proc/self/exe", O_CLOEXEC);
  if (self < 0) fail(FAILED_SANDBOX, "cannot open", "/proc/self/exe", self);
  call(DUP3, (word)self, SELF, 0, 0, 0);
  call(SETSID, 0, 0, 0, 0, 0);
  take_network(request);
  make_cgroups(request);
  open_cgroups(request);
  take_limits(request);
  if (view >= 0) wall_in(request, view);
  const char *folder = text_of(request, 'D');
  answer result = folder == 0 ? 0 : call(CHDIR, (word)folder, 0, 0, 0, 0);
  if (result < 0) fail(FAILED_SANDBOX, "cannot go to", folder, result);
  int count = 0;
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0)
    if (field[0] == 'A' && count < MOST_WORDS - 1) words[count++] = field + 1;
  words[count] = 0;
  if (count == 0 || count == MOST_WORDS - 1) fail(FAILED_SANDBOX, "cannot execute", "a command", -E2BIG);
  if (view >= 0) become_first();
  call(RT_SIGPROCMASK, 2, (word)&nothing, 0, sizeof nothing, 0);
  result = call(EXECVE, (word)words[0], (word)words, (word)no_environment, 0, 0);
  fail(FAILED_SANDBOX, "cannot execute", words[0], result);
}

/* The parent. */

static int control, signals, poller;

enum { STARTED = 1, FAILED = 2, ENDED = 3, BEGINS = 4, OUTPUT = 5 };
enum { REPORT_BYTES = 12, MOST_REPORTED = 1024, CHUNK = 65536 };

/** What is to be sent: reports, and after the last of them, where that is of output, what was read. */
static char leaving[MOST_REPORTED + REPORT_BYTES + CHUNK] __attribute__((aligned(8)));
static word leaving_length;
/** Whether somebody waits for what is to be sent. */
static int is_urgent;

static int send_reports(void) {
  answer result = write_all(control, leaving, leaving_length);
  leaving_length = 0;
  is_urgent = 0;
  return result == 0;
}

/** Sent with what comes next, or a little later. */
static int report_later(unsigned kind, unsigned subject, unsigned value) {
  if (leaving_length > MOST_REPORTED && !send_reports()) return 0;
  unsigned message[3] = { kind, subject, value };
  memcpy(leaving + leaving_length, message, sizeof message);
  leaving_length += sizeof message;
  return 1;
}

static int report(unsigned kind, unsigned subject, unsigned value) {
  return report_later(kind, subject, value) && send_reports();
}

/** One more output than this is not to be had. */
enum { MOST_STREAMS = 12288, CONTROL_PLACE = MOST_STREAMS, SIGNALS_PLACE, BEGINS_PLACE };
enum { KINDS = 3 };
static const char kinds[KINDS] = { 'o', 'e', 's' };

/** Where the output of what was started comes out. `file` is 0 where there is none. */
struct stream { int file, kind; unsigned id; };
static struct stream streams[MOST_STREAMS];
/** All that are there lie below it. */
static int streams_end;

static answer watch(int change, int file, word place) {
  struct event wanted = { READABLE, place };
  return call(EPOLL_CTL, (word)poller, (word)change, (word)file, (word)&wanted, 0);
}

static void close_stream(struct stream *stream) {
  // A process that is just being made holds it too for a moment, so that closing it alone would not do.
  watch(REMOVE, stream->file, 0);
  call(CLOSE, (word)stream->file, 0, 0, 0, 0);
  stream->file = 0;
  while (streams_end > 0 && streams[streams_end - 1].file == 0) streams_end--;
}

/** A pipe whose one end is watched here. Returns the other, or less than 0. */
static answer open_stream(unsigned id, int kind) {
  int place = 0, ends[2];
  while (place < streams_end && streams[place].file != 0) place++;
  if (place == MOST_STREAMS) return -EMFILE;
  answer result = call(PIPE2, (word)ends, O_CLOEXEC, 0, 0, 0);
  if (result < 0) return result;
  // A process may read from its own output as well: then nothing is there any more for who waits.
  result = call(FCNTL, (word)ends[0], SET_STATUS, O_NONBLOCK, 0, 0);
  if (result >= 0) result = watch(ADD, ends[0], (word)place);
  if (result < 0) {
    call(CLOSE, (word)ends[0], 0, 0, 0, 0);
    call(CLOSE, (word)ends[1], 0, 0, 0, 0);
    return result;
  }
  struct stream stream = { ends[0], kind, id };
  streams[place] = stream;
  if (streams_end <= place) streams_end = place + 1;
  return ends[1];
}

/** The stream of that kind with that id, or 0. */
static struct stream *stream_of(unsigned id, int kind) {
  for (int place = 0; place < streams_end; place++)
    if (streams[place].file != 0 && streams[place].id == id && streams[place].kind == kind) return streams + place;
  return 0;
}

/** Tells that nothing more comes, which nobody is in a hurry to hear before the process itself has ended. */
static int end_stream(struct stream *stream) {
  unsigned id = stream->id, kind = OUTPUT + (unsigned)stream->kind;
  close_stream(stream);
  return report_later(kind, id, 0);
}

/** Passes on what has come. Returns whether the daemon is still there. `*isMore` is whether there may be more at once. */
static int pass_on(struct stream *stream, int *isMore) {
  *isMore = 0;
  if (stream->file == 0) return 1;
  if (leaving_length > MOST_REPORTED && !send_reports()) return 0;
  answer count = call(READ, (word)stream->file, (word)(leaving + leaving_length + REPORT_BYTES), CHUNK, 0, 0);
  if (count == -EINTR || count == -EAGAIN) return 1;
  if (count <= 0) return end_stream(stream);
  *isMore = 1;
  if (!report_later(OUTPUT + (unsigned)stream->kind, stream->id, (unsigned)count)) return 0;
  leaving_length += (word)count;
  return send_reports();
}

/** `Q` holds a stream back, `T` takes from it again, `S` takes what lies there now and ends it: each a letter of its kind and the id. */
static int steer_stream(char how, const char *named) {
  int kind = 0, isMore = 1;
  while (kind < KINDS && kinds[kind] != *named) kind++;
  struct stream *stream = *named == 0 ? 0 : stream_of((unsigned)number_of(named + 1), kind);
  if (stream == 0) return 1;
  if (how == 'Q') watch(REMOVE, stream->file, 0);
  if (how == 'T') watch(ADD, stream->file, (word)(stream - streams));
  if (how != 'S') return 1;
  // As much as a pipe can be made to hold, since whoever writes on would never let it end.
  for (int i = 0; i < 16 && isMore; i++)
    if (!pass_on(stream, &isMore)) return 0;
  return (stream->file == 0 || end_stream(stream)) && send_reports();
}

/** A pipe that holds a short text, or less than 0. */
static answer pipe_with(const char *text) {
  int ends[2];
  answer result = call(PIPE2, (word)ends, O_CLOEXEC, 0, 0, 0);
  if (result < 0) return result;
  result = write_all(ends[1], text, (word)length_of(text));
  call(CLOSE, (word)ends[1], 0, 0, 0, 0);
  if (result == 0) return ends[0];
  call(CLOSE, (word)ends[0], 0, 0, 0, 0);
  return result;
}

/** Only we wait for our children: what is one now keeps its id until we have. */
static void kill_child(word pid) {
  enum { ONE_PROCESS = 1, ENDED_ONES = 4, LEAVE_IT = 0x1000000 };
  if (call(WAITID, ONE_PROCESS, pid, 0, NO_HANG | ENDED_ONES | LEAVE_IT, 0) == 0) call(KILL, pid, SIGKILL, 0, 0, 0);
}

static char is_kept[MOST_VIEWS];

/** Keeps the files that a process sees as a view with a number, for as long as nobody lets go of it. */
static answer keep_view(const char *number, const char *pid) {
  long place = number_of(number);
  if (pid == 0 || place < 0 || place >= MOST_VIEWS) return -EINVAL;
  char path[64];
  char *at = put(path, path + 60, "/proc/");
  at = put_number(at, path + 60, number_of(pid));
  *put(at, path + 60, "/ns/mnt") = 0;
  // The daemon's own view is no wall.
  char theirs[64] = "", own[64] = "";
  call(READLINKAT, (word)AT_FDCWD, (word)path, (word)theirs, sizeof theirs - 1, 0);
  answer length = call(READLINKAT, (word)AT_FDCWD, (word) "/proc/self/ns/mnt", (word)own, sizeof own - 1, 0);
  if (length <= 0 || is_same(theirs, own)) return -EINVAL;
  answer file = open_at(path, O_CLOEXEC);
  if (file < 0) return file;
  answer result = call(DUP3, (word)file, (word)(FIRST_VIEW + place), O_CLOEXEC, 0, 0);
  call(CLOSE, (word)file, 0, 0, 0, 0);
  if (result >= 0) is_kept[place] = 1;
  return result;
}

static void let_go_of_view(const char *number) {
  long place = number_of(number);
  if (place < 0 || place >= MOST_VIEWS || !is_kept[place]) return;
  // Nothing else is to have that number.
  call(DUP3, 0, (word)(FIRST_VIEW + place), O_CLOEXEC, 0, 0);
  is_kept[place] = 0;
}

static int report_result(const struct request *request, answer result) {
  return result < 0 ? report(FAILED, request->id, (unsigned)-result) : report(STARTED, request->id, (unsigned)result);
}

/** All that are named, which must be empty. What is gone is gone. */
static answer remove_folders(const struct request *request) {
  answer first = 0;
  char *at = request->at, *field;
  while ((field = next_field(request, &at)) != 0) {
    answer result = field[0] != 'X' ? 0 : call(UNLINKAT, (word)AT_FDCWD, (word)(field + 1), AT_REMOVEDIR, 0, 0);
    if (result < 0 && result != -ENOENT && first == 0) first = result;
  }
  return first;
}

static int carry_out(const struct request *request) {
  const char *named = text_of(request, 'K');
  if (named != 0) {
    kill_child((word)number_of(named));
    return 1;
  }
  if (text_of(request, 'H') != 0) return report_result(request, 0);
  if (text_of(request, 'X') != 0) return report_result(request, remove_folders(request));
  if ((named = text_of(request, 'V')) != 0) return report_result(request, keep_view(named, text_of(request, 'L')));
  if ((named = text_of(request, 'C')) != 0) {
    let_go_of_view(named);
    return 1;
  }
  static const char steering[3] = { 'Q', 'T', 'S' };
  for (int i = 0; i < 3; i++)
    if ((named = text_of(request, steering[i])) != 0) return steer_stream(steering[i], named);
  int view = -1;
  if ((named = text_of(request, 'W')) != 0) {
    long place = number_of(named);
    if (place < 0 || place >= MOST_VIEWS || !is_kept[place]) return report_result(request, -EBADF);
    view = FIRST_VIEW + (int)place;
  }
  int outputs[KINDS] = { -1, -1, -1 }, passwd = -1;
  answer result = 0;
  // What is behind walls tells us how far it is.
  for (int kind = 0; kind < (view < 0 ? KINDS : 2) && result >= 0; kind++) {
    result = open_stream(request->id, kind);
    outputs[kind] = (int)result;
  }
  const char *users = text_of(request, 'P');
  if (result >= 0 && users != 0 && view < 0) passwd = (int)(result = pipe_with(users));
  answer self = call(GETPID, 0, 0, 0, 0, 0);
  if (result >= 0) result = call(CLONE, SIGCHLD | (view < 0 ? 0 : NEW_PID), 0, 0, 0, 0);
  if (result == 0) start(request, outputs, passwd, view, self);
  for (int kind = 0; kind < KINDS; kind++) {
    struct stream *stream = result < 0 ? stream_of(request->id, kind) : 0;
    if (stream != 0) close_stream(stream);
    if (outputs[kind] >= 0) call(CLOSE, (word)outputs[kind], 0, 0, 0, 0);
  }
  if (passwd >= 0) call(CLOSE, (word)passwd, 0, 0, 0, 0);
  return report_result(request, result);
}

/** All that have been said. Each is one write, so that it comes whole. */
static int tell_begins(void) {
  unsigned begun[64];
  answer count;
  do {
    count = call(READ, (word)begins[0], (word)begun, sizeof begun, 0, 0);
    for (answer i = 0; i < count / (answer)sizeof *begun; i++)
      if (!report_later(BEGINS, begun[i], 0)) return 0;
    is_urgent |= count > 0;
  } while (count == sizeof begun);
  return 1;
}

static int tell_ends(void) {
  char seen[128];
  int status;
  call(READ, (word)signals, (word)seen, sizeof seen, 0, 0);
  for (;;) {
    answer pid = call(WAIT4, (word)-1, (word)&status, NO_HANG, 0, 0);
    if (pid <= 0) return 1;
    // What it said before it ended is told before.
    if (!tell_begins()) return 0;
    // One that we only took in has an id that the daemon does not know.
    if (!report_later(ENDED, (unsigned)pid, (unsigned)status)) return 0;
    is_urgent = 1;
  }
}

/** Reads what has come and carries out what is whole. Returns whether the daemon is still there. */
static int take_requests(word *held) {
  answer count = call(READ, (word)control, (word)(received + *held), MOST_BYTES - *held, 0, 0);
  if (count == -EINTR || count == -EAGAIN) return 1;
  if (count <= 0) return 0;
  *held += (word)count;
  word at = 0;
  while (*held - at >= 8) {
    unsigned length = *(unsigned *)(received + at);
    // Lengths are multiples of four, so that numbers lie where every machine can read them.
    if (length < 8 || length > MOST_BYTES - 4 || length % 4 != 0) return 0;
    if (*held - at - 4 < length) break;
    struct request request = { *(unsigned *)(received + at + 4), received + at + 8, received + at + 4 + length };
    if (request.end[-1] != 0 || !carry_out(&request)) return 0;
    at += 4 + length;
  }
  for (word i = at; at > 0 && i < *held; i++) received[i - at] = received[i];
  *held -= at;
  return 1;
}

/** Kills every child, as they become ours when their parents go, until there is none or the time is over. */
static void end_all(void) {
  static char children[65536];
  struct time pause = { 0, 2000000 };
  for (int round = 0; round < 2500; round++) {
    answer file = open_at("/proc/thread-self/children", O_CLOEXEC);
    answer count = file < 0 ? 0 : call(READ, (word)file, (word)children, sizeof children - 1, 0, 0);
    if (file >= 0) call(CLOSE, (word)file, 0, 0, 0, 0);
    children[count < 0 ? 0 : count] = 0;
    for (char *at = children; *at != 0;) {
      long pid = number_of(at);
      while (*at != 0 && *at != ' ') at++;
      // A number that the end of the buffer cut short is somebody else's.
      if (*at == ' ' && pid > 0) call(KILL, (word)pid, SIGKILL, 0, 0, 0);
      if (*at == ' ') at++;
    }
    answer pid;
    do pid = call(WAIT4, (word)-1, 0, NO_HANG, 0, 0);
    while (pid > 0);
    if (pid < 0) return;
    call(NANOSLEEP, (word)&pause, 0, 0, 0, 0);
  }
}

/** Waits for what comes next and carries it out. Returns whether the daemon is still there. */
static int serve_once(word *held) {
  enum { MOST_EVENTS = 16, PATIENCE_MS = 5 };
  struct event events[MOST_EVENTS];
  word patience = leaving_length > 0 ? PATIENCE_MS : (word)-1;
  answer count = call(EPOLL_PWAIT, (word)poller, (word)events, MOST_EVENTS, patience, 0);
  if (count < 0) return count == -EINTR;
  for (answer i = 0; i < count; i++) {
    word place = events[i].place;
    int isMore, isThere = place == CONTROL_PLACE   ? take_requests(held)
                          : place == SIGNALS_PLACE ? tell_ends()
                          : place == BEGINS_PLACE  ? tell_begins()
                                                   : pass_on(streams + place, &isMore);
    if (!isThere) return 0;
  }
  return (count > 0 && !is_urgent) || send_reports();
}

static word bit(int signal) { return 1ul << (signal - 1); }

static void serve(void) {
  // A signal to the whole group of the daemon is the daemon's to answer: we end with it, not before.
  word blocked = bit(SIGCHLD) | bit(SIGTERM) | bit(SIGINT) | bit(SIGHUP) | bit(SIGPIPE), child = bit(SIGCHLD), held = 0;
  call(RT_SIGPROCMASK, 0, (word)&blocked, 0, sizeof blocked, 0);
  call(PRCTL, CHILD_SUBREAPER, 1, 0, 0, 0);
  forbid_keys();
  // Whatever else this was started with is nobody's below.
  close_from(4, MOST_INHERITED);
  control = FIRST_FREE;
  call(DUP3, 3, (word)control, O_CLOEXEC, 0, 0);
  // Kept busy, so that what we open never has a number that a started process is given something at.
  for (word fd = 3; fd < FIRST_FREE; fd++) call(DUP3, 0, fd, O_CLOEXEC, 0, 0);
  for (word fd = FIRST_VIEW; fd < FIRST_VIEW + MOST_VIEWS; fd++) call(DUP3, 0, fd, O_CLOEXEC, 0, 0);
  signals = (int)call(SIGNALFD4, (word)-1, (word)&child, sizeof child, O_CLOEXEC, 0);
  poller = (int)call(EPOLL_CREATE1, O_CLOEXEC, 0, 0, 0, 0);
  int isThere = call(PIPE2, (word)begins, O_CLOEXEC | O_NONBLOCK, 0, 0, 0) == 0 && signals >= 0 && poller >= 0;
  if (isThere)
    isThere = watch(ADD, control, CONTROL_PLACE) == 0 && watch(ADD, signals, SIGNALS_PLACE) == 0 && watch(ADD, begins[0], BEGINS_PLACE) == 0;
  while (isThere) isThere = serve_once(&held);
  end_all();
  leave(0);
}

/* The last step, inside. */

static void join_cgroups(word count) {
  for (word file = FIRST_CGROUP; file < FIRST_CGROUP + count; file++) {
    answer result = call(WRITE, file, (word) "0", 1, 0, 0);
    if (result < 0) fail(FAILED_SANDBOX, "cannot join", "a cgroup", result);
    call(CLOSE, file, 0, 0, 0, 0);
  }
  // What it sees of the hierarchies begins there. Where it may not be had, it sees a path of ours.
  if (count > 0) call(UNSHARE, NEW_CGROUP, 0, 0, 0, 0);
}

/** So that `/dev/stdout` and `/dev/stderr` can be opened by name, which asks who owns the pipe. Anything else may be a file of the host. */
static void own_outputs(word id) {
  for (word file = 1; file <= 2; file++)
    if (call(FCNTL, file, PIPE_SIZE, 0, 0, 0) >= 0) call(FCHOWN, file, id, id, 0, 0);
}

static void drop_identity(const char *uid) {
  word id = (word)number_of(uid);
  own_outputs(id);
  struct { unsigned version; int pid; } head = { 0x20080522, 0 };
  unsigned none[6] = { 0, 0, 0, 0, 0, 0 };
  answer result;
  for (word capability = 0; capability < 64; capability++) {
    result = call(PRCTL, CAPBSET_DROP, capability, 0, 0, 0);
    // Above the kernel's last one there is none.
    if (result < 0 && capability < 38) fail(FAILED_SANDBOX, "cannot give up", "a capability", result);
  }
  // None there before Linux 4.3; then there is nothing to clear.
  call(PRCTL, CAP_AMBIENT, CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  result = call(SETGROUPS, 0, 0, 0, 0, 0);
  if (result == 0) result = call(SETRESGID, id, id, id, 0, 0);
  if (result == 0) result = call(SETRESUID, id, id, id, 0, 0);
  if (result == 0) result = call(CAPSET, (word)&head, (word)none, 0, 0, 0);
  if (result < 0) fail(FAILED_SANDBOX, "cannot become user", uid, result);
}

/** To who waits for it at fd 5; behind walls that is the program itself. */
static answer tell_begin(void) {
  return begins_as == 0 ? write_all(BEGUN, "begun\n", 6) : write_all(BEGUN, &begins_as, sizeof begins_as);
}

static const char *value_in(char **environment, const char *name) {
  for (; *environment != 0; environment++) {
    const char *value = after(*environment, name);
    if (value != 0) return value;
  }
  return 0;
}

/** Only returns when it failed. A text without a first line that names its interpreter is for the shell, as everywhere. */
static answer execute(const char *path, char **command, char **environment) {
  answer result = call(EXECVE, (word)path, (word)command, (word)environment, 0, 0);
  if (result != -ENOEXEC) return result;
  // Not in `words`: behind walls the environment lies there.
  static char *line[MOST_WORDS];
  int count = 0;
  line[count++] = (char *)"sh";
  line[count++] = (char *)path;
  while (*++command != 0 && count < MOST_WORDS - 1) line[count++] = *command;
  line[count] = 0;
  return call(EXECVE, (word) "/bin/sh", (word)line, (word)environment, 0, 0);
}

static void become(char **command, char **environment) {
  const char *name = command[0];
  answer result = -ENOENT, found = -ENOENT;
  int hasSlash = 0;
  for (const char *at = name; *at != 0; at++) hasSlash |= *at == '/';
  if (hasSlash) found = execute(name, command, environment);
  else if (*name != 0) {
    const char *path = value_in(environment, "PATH=");
    if (path == 0) path = "/usr/bin:/bin";
    for (;;) {
      static char full[8192];
      const char *end = full + sizeof full - 1;
      char *at = full;
      while (*path != 0 && *path != ':' && at < end) *at++ = *path++;
      if (at != full) at = put(at, end, "/");
      at = put(at, end, name);
      *at = 0;
      result = at == end ? -ENOENT : execute(full, command, environment);
      if (result == -EACCES) found = result;
      else if (result != -ENOENT && result != -ENOTDIR) {
        found = result;
        break;
      }
      while (*path != 0 && *path != ':') path++;
      if (*path++ == 0) break;
    }
  }
  fail(found == -ENOENT || found == -ENOTDIR ? NO_PROGRAM : FAILED_PROGRAM, "cannot execute", name, found);
}

static void enter(char **arguments) {
  const char *folder = 0, *uid = 0;
  word cgroups = 0;
  int isTied = 0, tellsBegin = 0, hasNoNew = 0;
  for (; *arguments != 0 && !is_same(*arguments, "--"); arguments++) {
    const char *value;
    if ((value = after(*arguments, "dir=")) != 0) folder = value;
    else if ((value = after(*arguments, "uid=")) != 0) uid = value;
    else if ((value = after(*arguments, "join=")) != 0) cgroups = (word)number_of(value);
    else if (is_same(*arguments, "tie")) isTied = 1;
    else if (is_same(*arguments, "begin")) tellsBegin = 1;
    else if (is_same(*arguments, "nnp")) hasNoNew = 1;
    else fail(FAILED_SANDBOX, "cannot understand", *arguments, 0);
  }
  char **environment = arguments, **command = arguments;
  if (*arguments != 0) {
    environment = command = arguments + 1;
    while (*command != 0 && !is_same(*command, "--")) command++;
  }
  if (*command == 0 || command[1] == 0) fail(FAILED_SANDBOX, "cannot find", "a command", 0);
  *command++ = 0;
  answer parent = call(GETPPID, 0, 0, 0, 0, 0);
  join_cgroups(cgroups);
  answer result = hasNoNew ? call(PRCTL, NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
  if (result < 0) fail(FAILED_SANDBOX, "cannot give up", "new privileges", result);
  // Where the daemon is not root, only now may a filter be set.
  if (hasNoNew && call(KEYCTL, 0xffff, 0, 0, 0, 0) != -ENOSYS) forbid_keys();
  if (uid != 0) drop_identity(uid);
  // After the change of user, which undoes it.
  if (isTied) tie_to(parent);
  // As the user, to whom alone the folder may be open.
  result = folder == 0 ? 0 : call(CHDIR, (word)folder, 0, 0, 0, 0);
  if (result < 0) fail(FAILED_PROGRAM, "cannot go to", folder, result);
  if (tellsBegin && tell_begin() < 0) leave(FAILED_SANDBOX);
  // The cgroups' were closed as they were joined.
  close_from(3, FIRST_FREE);
  become(command, environment);
}

/** Stands in a view until its end, so that it can be kept. */
static void stand(void) {
  if (write_all(BEGUN, "begun\n", 6) < 0) leave(FAILED_SANDBOX);
  for (;;) call(PPOLL, 0, 0, 0, 0, 0);
}

__attribute__((used)) void begin(word *stack) {
  char **arguments = (char **)(stack + 1);
  if (stack[0] == 2 && is_same(arguments[1], "stand")) stand();
  if (stack[0] == 2 && is_same(arguments[1], "serve")) serve();
  if (stack[0] > 2 && is_same(arguments[1], "enter")) enter(arguments + 2);
  fail(FAILED_SANDBOX, "usage:", "spawner serve, spawner stand, or spawner enter SETTING... -- NAME=VALUE... -- COMMAND...", 0);
}

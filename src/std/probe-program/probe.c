/*
 * Tells what a sandbox is really like from inside, one line for each question, in the order of its arguments:
 *
 *   kernel                  kernel RELEASE VERSION
 *   privilege=PATH          privilege NO_NEW_PRIVS UID, and a line of PATH run as "who" (a setuid copy of this program)
 *   connect=A.B.C.D:PORT    connect A.B.C.D:PORT ERRNO        0: connected. All targets are tried side by side.
 *   cpu=MS                  cpu WALL_US USED_US STALLED_US LONGEST_STALL_US    after a spin of MS
 *   pids=COUNT              pids MADE ERRNO                   0: as many as asked for
 *   memory=BYTES            memory TOUCHED HOW                0: all of it; else the signal, or 128 and an errno
 *
 * Before a question that may end the sandbox it writes "at NAME", and after the last one "end". It needs no library, no file and
 * no right, and leaves nothing: what it starts dies with it. Built for two machines by scripts/build-program.sh into bytes.ts.
 */

#define STATIC static __attribute__((always_inline)) inline

typedef unsigned long word;
typedef long answer;

#if defined(__x86_64__)
enum { WRITE = 1, MMAP = 9, CLOSE = 3, SOCKET = 41, CONNECT = 42, GETSOCKOPT = 55, CLONE = 56, EXECVE = 59, WAIT4 = 61, KILL = 62,
       UNAME = 63, GETUID = 102, GETEUID = 107, PRCTL = 157, CLOCK_GETTIME = 228, EXIT_GROUP = 231, PPOLL = 271 };

STATIC answer call(word number, word a, word b, word c, word d, word e, word f) {
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = e;
  register word r9 __asm__("r9") = f;
  answer result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");
#elif defined(__aarch64__)
enum { WRITE = 64, MMAP = 222, CLOSE = 57, SOCKET = 198, CONNECT = 203, GETSOCKOPT = 209, CLONE = 220, EXECVE = 221, WAIT4 = 260,
       KILL = 129, UNAME = 160, GETUID = 174, GETEUID = 175, PRCTL = 167, CLOCK_GETTIME = 113, EXIT_GROUP = 94, PPOLL = 73 };

STATIC answer call(word number, word a, word b, word c, word d, word e, word f) {
  register word x8 __asm__("x8") = number;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = e;
  register word x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (answer)x0;
}

__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");
#else
#error "written for x86-64 and arm64"
#endif

enum { SIGKILL = 9, SIGCHLD = 17, TIMED_OUT = 110, IN_PROGRESS = 115 };
enum { MOST_CHILDREN = 1024, MOST_TARGETS = 32, PAGE = 4096 };
/** A pause of the spin that is longer is not the kernel's usual change of processes. */
enum { STALL_US = 4000, CONNECT_WAIT_US = 400000 };

struct time { long seconds, nanoseconds; };

/* Lines: gathered whole, so that two programs that write at once do not mix them. */

struct line { int length; char text[512]; };

static void put_text(struct line *line, const char *text) {
  while (*text != 0 && line->length < (int)sizeof line->text - 1) line->text[line->length++] = *text++;
}

static void put_number(struct line *line, long value) {
  char digits[24];
  int at = sizeof digits;
  word rest = value < 0 ? (word)-value : (word)value;
  digits[--at] = 0;
  do digits[--at] = (char)('0' + rest % 10);
  while ((rest /= 10) != 0);
  if (value < 0) digits[--at] = '-';
  put_text(line, " ");
  put_text(line, digits + at);
}

static void say(struct line *line) {
  line->text[line->length++] = '\n';
  call(WRITE, 1, (word)line->text, (word)line->length, 0, 0, 0);
}

static void say_word(const char *name, const char *more) {
  struct line line;
  line.length = 0;
  put_text(&line, name);
  if (*more != 0) put_text(&line, " ");
  put_text(&line, more);
  say(&line);
}

static void say_numbers(const char *name, int count, const long *values) {
  struct line line;
  line.length = 0;
  put_text(&line, name);
  for (int i = 0; i < count; i++) put_number(&line, values[i]);
  say(&line);
}

/* Small tools. */

static void leave(int status) {
  for (;;) call(EXIT_GROUP, (word)status, 0, 0, 0, 0, 0);
}

static answer split(void) { return call(CLONE, SIGCHLD, 0, 0, 0, 0, 0); }

/** Dies with its parent: nothing that is started here outlives the sandbox's first process. */
static void bind_to_parent(void) { call(PRCTL, 1, SIGKILL, 0, 0, 0, 0); }

static long clock_us(int which) {
  struct time time;
  call(CLOCK_GETTIME, (word)which, (word)&time, 0, 0, 0, 0);
  return time.seconds * 1000000 + time.nanoseconds / 1000;
}

static int wait_for(answer pid) {
  int status = 0;
  call(WAIT4, (word)pid, (word)&status, 0, 0, 0, 0);
  return status;
}

/** What follows NAME= in an argument; nothing if it is another. */
static const char *value_of(const char *argument, const char *name) {
  while (*name != 0)
    if (*argument++ != *name++) return 0;
  if (*argument == 0) return argument;
  return *argument == '=' ? argument + 1 : 0;
}

static long number_at(const char **text) {
  long value = 0;
  while (**text >= '0' && **text <= '9') value = value * 10 + (*(*text)++ - '0');
  return value;
}

/* The questions. */

static void ask_kernel(void) {
  struct { char system[65], node[65], release[65], version[65], machine[65], domain[65]; } names;
  if (call(UNAME, (word)&names, 0, 0, 0, 0, 0) != 0) return;
  struct line line;
  line.length = 0;
  put_text(&line, "kernel ");
  put_text(&line, names.release);
  put_text(&line, " ");
  put_text(&line, names.version);
  say(&line);
}

static void ask_who(void) {
  long ids[2] = {call(GETUID, 0, 0, 0, 0, 0, 0), call(GETEUID, 0, 0, 0, 0, 0, 0)};
  say_numbers("who", 2, ids);
}

static void ask_privilege(const char *path) {
  long seen[2] = {call(PRCTL, 39, 0, 0, 0, 0, 0), call(GETUID, 0, 0, 0, 0, 0, 0)};
  say_numbers("privilege", 2, seen);
  if (*path == 0) return;
  answer child = split();
  if (child == 0) {
    const char *arguments[3] = {path, "who", 0};
    const char *environment[1] = {0};
    call(EXECVE, (word)path, (word)arguments, (word)environment, 0, 0, 0);
    leave(127);
  }
  wait_for(child);
}

struct target { const char *name; int socket; int error; };

/** "1.2.3.4:5" in the form that the kernel wants. */
static void open_target(struct target *target) {
  unsigned char address[16] = {2, 0};
  const char *at = target->name;
  for (int i = 0; i < 4; i++) {
    address[4 + i] = (unsigned char)number_at(&at);
    at++;
  }
  long port = number_at(&at);
  address[2] = (unsigned char)(port >> 8);
  address[3] = (unsigned char)port;
  target->socket = (int)call(SOCKET, 2, 1 | 2048, 0, 0, 0, 0);
  if (target->socket < 0) target->error = -target->socket;
  else target->error = -(int)call(CONNECT, (word)target->socket, (word)address, sizeof address, 0, 0, 0);
}

static void ask_connects(struct target *targets, int count) {
  for (int i = 0; i < count; i++) open_target(&targets[i]);
  long until = clock_us(1) + CONNECT_WAIT_US;
  for (int i = 0; i < count; i++) {
    long left = until - clock_us(1);
    if (targets[i].error == IN_PROGRESS) {
      struct { int file; short wanted, seen; } poll = {targets[i].socket, 4, 0};
      if (left < 1000) left = 1000;
      struct time patience = {left / 1000000, left % 1000000 * 1000};
      targets[i].error = TIMED_OUT;
      if (call(PPOLL, (word)&poll, 1, (word)&patience, 0, 0, 0) == 1) {
        int length = sizeof targets[i].error;
        call(GETSOCKOPT, (word)targets[i].socket, 1, 4, (word)&targets[i].error, (word)&length, 0);
      }
    }
    call(CLOSE, (word)targets[i].socket, 0, 0, 0, 0, 0);
    struct line line;
    line.length = 0;
    put_text(&line, "connect ");
    put_text(&line, targets[i].name);
    put_number(&line, targets[i].error);
    say(&line);
  }
}

static void ask_cpu(long ms) {
  long began = clock_us(1), used = clock_us(2), last = began, stalled = 0, longest = 0;
  while (last - began < ms * 1000) {
    for (volatile int i = 0; i < 5000; i++) {
    }
    long now = clock_us(1), pause = now - last;
    if (pause > STALL_US) stalled += pause;
    if (pause > longest) longest = pause;
    last = now;
  }
  long seen[4] = {last - began, clock_us(2) - used, stalled, longest};
  say_numbers("cpu", 4, seen);
}

static void ask_pids(long count) {
  int children[MOST_CHILDREN];
  long seen[2] = {0, 0};
  if (count > MOST_CHILDREN) count = MOST_CHILDREN;
  while (seen[0] < count) {
    answer child = split();
    if (child == 0) {
      bind_to_parent();
      for (;;) call(PPOLL, 0, 0, 0, 0, 0, 0);
    }
    if (child < 0) {
      seen[1] = -child;
      break;
    }
    children[seen[0]++] = (int)child;
  }
  for (long i = 0; i < seen[0]; i++) call(KILL, (word)children[i], SIGKILL, 0, 0, 0, 0);
  for (long i = 0; i < seen[0]; i++) wait_for(children[i]);
  say_numbers("pids", 2, seen);
}

/** In a child: whoever runs out of memory is killed, and the one who tells must not be. */
static void ask_memory(long bytes) {
  word anywhere = (word)-1;
  /* read and write; shared, and of no file */
  volatile long *touched = (volatile long *)call(MMAP, 0, PAGE, 3, 0x21, anywhere, 0);
  *touched = 0;
  answer child = split();
  if (child == 0) {
    bind_to_parent();
    answer memory = call(MMAP, 0, (word)bytes, 3, 0x22, anywhere, 0);
    if (memory < 0 && memory > -PAGE) leave((int)-memory);
    for (long at = 0; at < bytes; at += PAGE) {
      *(volatile char *)(memory + at) = 1;
      *touched = at + PAGE;
    }
    leave(0);
  }
  int status = child < 0 ? (int)-child << 8 : wait_for(child);
  long seen[2] = {*touched, (status & 127) != 0 ? status & 127 : (status >> 8) == 0 ? 0 : 128 + (status >> 8)};
  say_numbers("memory", 2, seen);
}

__attribute__((used, noreturn)) static void begin(word *stack) {
  long count = (long)stack[0];
  const char **arguments = (const char **)(stack + 1);
  struct target targets[MOST_TARGETS];
  int opened = 0;
  for (long i = 1; i < count; i++) {
    const char *value;
    if ((value = value_of(arguments[i], "connect")) && opened < MOST_TARGETS) targets[opened++].name = value;
  }
  if (opened > 0) ask_connects(targets, opened);
  for (long i = 1; i < count; i++) {
    const char *value;
    if (value_of(arguments[i], "who")) {
      ask_who();
      leave(0);
    }
    if (value_of(arguments[i], "kernel")) ask_kernel();
    if ((value = value_of(arguments[i], "privilege"))) ask_privilege(value);
    if ((value = value_of(arguments[i], "cpu"))) {
      say_word("at", "cpu");
      ask_cpu(number_at(&value));
    }
    if ((value = value_of(arguments[i], "pids"))) {
      say_word("at", "pids");
      ask_pids(number_at(&value));
    }
    if ((value = value_of(arguments[i], "memory"))) {
      say_word("at", "memory");
      ask_memory(number_at(&value));
    }
  }
  say_word("end", "");
  leave(0);
  for (;;) {
  }
}

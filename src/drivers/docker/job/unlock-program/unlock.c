/*
 * Lets everybody read, write and remove what is below the folder that is its argument: folders get mode 0777, files get 0666 and
 * keep whether they can be executed. Links are not followed and nothing else is touched. It works from the top down, so all it
 * needs is the right to change the modes of what others own (CAP_FOWNER).
 *
 * Exit code 0: all of it. 1: something could not be done, and the rest was. Needs no library and no file; built for two machines
 * by scripts/build-program.sh into bytes.ts.
 */

typedef unsigned long word;
typedef long answer;

#if defined(__x86_64__)
enum { CLOSE = 3, GETDENTS64 = 217, OPENAT = 257, FSTATAT = 262, FCHMODAT = 268, EXIT_GROUP = 231 };

static answer call(word number, word a, word b, word c, word d) {
  register word r10 __asm__("r10") = d;
  answer result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");

struct status { word dev, ino, nlink; unsigned mode, uid, gid, pad; word rest[14]; };
enum { DIRECTORY = 0200000, NO_FOLLOW = 0400000 };
#elif defined(__aarch64__)
enum { CLOSE = 57, GETDENTS64 = 61, OPENAT = 56, FSTATAT = 79, FCHMODAT = 53, EXIT_GROUP = 94 };

static answer call(word number, word a, word b, word c, word d) {
  register word x8 __asm__("x8") = number;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return (answer)x0;
}

__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");

struct status { word dev, ino; unsigned mode, nlink, uid, gid; word rest[14]; };
enum { DIRECTORY = 040000, NO_FOLLOW = 0100000 };
#else
#error "written for x86-64 and arm64"
#endif

enum { CLOSE_ON_EXEC = 02000000, STAT_NO_FOLLOW = 0x100, HERE = -100 };
enum { TYPE = 0170000, FOLDER = 0040000, FILE = 0100000, EXECUTABLE = 0111, EVERYBODY = 0777, READ_WRITE = 0666 };
enum { BUFFER = 2048, NAME_AT = 19, LENGTH_AT = 16 };

static int failures;

static void unlock(int parent, const char *name);

static void unlock_entries(int folder) {
  char buffer[BUFFER];
  for (;;) {
    answer length = call(GETDENTS64, (word)folder, (word)buffer, BUFFER, 0);
    if (length < 0) failures = 1;
    if (length <= 0) return;
    for (answer at = 0; at < length;) {
      const char *name = buffer + at + NAME_AT;
      int is_self = name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
      if (!is_self) unlock(folder, name);
      at += (unsigned char)buffer[at + LENGTH_AT] | (unsigned char)buffer[at + LENGTH_AT + 1] << 8;
    }
  }
}

static void unlock(int parent, const char *name) {
  struct status status;
  if (call(FSTATAT, (word)parent, (word)name, (word)&status, STAT_NO_FOLLOW) < 0) {
    failures = 1;
    return;
  }
  unsigned type = status.mode & TYPE;
  if (type != FOLDER && type != FILE) return;
  unsigned wanted = type == FOLDER ? EVERYBODY : READ_WRITE | (status.mode & EXECUTABLE);
  /* What is open already may be somebody's whose modes nobody here may change. */
  if ((status.mode & 07777) != wanted && call(FCHMODAT, (word)parent, (word)name, wanted, 0) < 0) failures = 1;
  if (type == FILE) return;
  answer folder = call(OPENAT, (word)parent, (word)name, DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC, 0);
  if (folder < 0) {
    failures = 1;
    return;
  }
  unlock_entries((int)folder);
  call(CLOSE, (word)folder, 0, 0, 0);
}

__attribute__((used)) void begin(const word *stack) {
  if (stack[0] != 2) call(EXIT_GROUP, 2, 0, 0, 0);
  unlock(HERE, (const char *)stack[2]);
  call(EXIT_GROUP, (word)failures, 0, 0, 0);
  __builtin_unreachable();
}

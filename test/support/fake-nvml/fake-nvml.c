/*
 * A stand-in for NVIDIA's management library, for tests on machines without a GPU. It tells what the file "state" beside it
 * says, read anew in each call, one fact a line:
 *
 *   card UUID|model|total MiB|used MiB|compute %|minor|pids, by commas|uncorrected errors|code that calls about it return
 *   fail CALL CODE    CALL returns CODE (init, count, memory)
 *   hang CALL         CALL never returns
 *   xid INDEX NUMBER  an error report; each line is told once to each process that loads the library
 *   mig INDEX         the card is in MIG mode
 *
 * Only what Hearth reads is here. Built with -DOLD it has the first versions of the functions alone, as old drivers do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10, LOST = 15 };
enum { MOST_CARDS = 16, MOST_PIDS = 512 };

struct card {
	char uuid[96], model[96];
	uint64_t total, used;
	unsigned compute, minor, pids[MOST_PIDS], pid_count, code, is_mig;
	uint64_t errors;
};

static struct card cards[MOST_CARDS];
static unsigned card_count, xids_told;

static FILE *open_state(void)
{
	Dl_info self;
	char path[4096];
	if (!dladdr((void *)open_state, &self)) return NULL;
	snprintf(path, sizeof path, "%s", self.dli_fname);
	char *name = strrchr(path, '/');
	if (!name) return NULL;
	snprintf(name, sizeof path - (size_t)(name - path), "/state");
	return fopen(path, "r");
}

static void read_card(char *text)
{
	if (card_count == MOST_CARDS) return;
	struct card *card = &cards[card_count];
	char *fields[9], *rest = text;
	for (int at = 0; at < 9; at++) fields[at] = rest ? strsep(&rest, "|") : "";
	for (int at = 0; at < 9; at++) if (!fields[at]) fields[at] = "";
	memset(card, 0, sizeof *card);
	snprintf(card->uuid, sizeof card->uuid, "%s", fields[0]);
	snprintf(card->model, sizeof card->model, "%s", fields[1]);
	card->total = strtoull(fields[2], NULL, 10) << 20;
	card->used = strtoull(fields[3], NULL, 10) << 20;
	card->compute = (unsigned)atoi(fields[4]);
	card->minor = (unsigned)atoi(fields[5]);
	char *pids = fields[6], *pid;
	while (card->pid_count < MOST_PIDS && (pid = strsep(&pids, ","))) if (*pid) card->pids[card->pid_count++] = (unsigned)atoi(pid);
	card->errors = strtoull(fields[7], NULL, 10);
	card->code = (unsigned)atoi(fields[8]);
	card_count++;
}

/* What the state says of a call: what it returns. It does not return from one that is to hang. */
static int judge(const char *call)
{
	char line[8192], name[64];
	int code = SUCCESS, said;
	unsigned index;
	FILE *state = open_state();
	card_count = 0;
	if (!state) return SUCCESS;
	while (fgets(line, sizeof line, state)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "card ", 5)) read_card(line + 5);
		else if (sscanf(line, "mig %u", &index) == 1 && index < card_count) cards[index].is_mig = 1;
		else if (sscanf(line, "fail %63s %d", name, &said) == 2 && !strcmp(name, call)) code = said;
		else if (sscanf(line, "hang %63s", name) == 1 && !strcmp(name, call)) for (;;) pause();
	}
	fclose(state);
	return code;
}

static int about(void *device, struct card **card)
{
	uintptr_t number = (uintptr_t)device;
	int code = judge("any");
	if (code) return code;
	if (number == 0 || number > card_count) return LOST;
	*card = &cards[number - 1];
	return (int)(*card)->code;
}

#define CARD struct card *card; int code = about(device, &card); if (code) return code

static int give_text(const char *from, char *to, unsigned length)
{
	if (strlen(from) >= length) return TOO_SMALL;
	strcpy(to, from);
	return SUCCESS;
}

const char *nvmlErrorString(int code)
{
	switch (code) {
	case NOT_SUPPORTED: return "Not Supported";
	case 9: return "Driver Not Loaded";
	case LOST: return "GPU is lost";
	default: return "Unknown Error";
	}
}

int nvmlInit(void) { return judge("init"); }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { return give_text("550.54.15", text, length); }

int nvmlDeviceGetCount(unsigned *count)
{
	int code = judge("count");
	*count = card_count;
	return code;
}

int nvmlDeviceGetHandleByIndex(unsigned index, void **device)
{
	judge("any");
	if (index >= card_count) return NOT_FOUND;
	*device = (void *)(uintptr_t)(index + 1);
	return SUCCESS;
}

/* A lost card still has a handle and a name here when its code is 16 or above, and not even those below. */
int nvmlDeviceGetUUID(void *device, char *text, unsigned length)
{
	struct card *card = NULL;
	int code = about(device, &card);
	if (code && code < 16) return code;
	return give_text(card->uuid, text, length);
}

int nvmlDeviceGetName(void *device, char *text, unsigned length)
{
	struct card *card = NULL;
	int code = about(device, &card);
	if (code && code < 16) return code;
	return give_text(card->model, text, length);
}

int nvmlDeviceGetMinorNumber(void *device, unsigned *minor) { CARD; *minor = card->minor; return SUCCESS; }

struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };

int nvmlDeviceGetPciInfo_v3(void *device, struct pci *pci)
{
	CARD;
	memset(pci, 0, sizeof *pci);
	snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", 0x3b + card->minor);
	return SUCCESS;
}

struct memory { unsigned long long total, free, used; };

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
	int said = judge("memory");
	if (said) return said;
	CARD;
	*memory = (struct memory){ card->total, card->total - card->used, card->used };
	return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) { CARD; rates[0] = card->compute; rates[1] = 0; return SUCCESS; }

int nvmlDeviceGetTotalEccErrors(void *device, int type, int counter, unsigned long long *count)
{
	CARD;
	*count = type == 1 && counter == 0 ? card->errors : 0;
	return SUCCESS;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) { CARD; *current = *pending = card->is_mig; return SUCCESS; }

/* Graphics cards of programs are not told, as on servers. */
int nvmlDeviceGetGraphicsRunningProcesses(void *device, unsigned *count, void *infos) { (void)device; (void)infos; *count = 0; return SUCCESS; }

struct process1 { unsigned pid; unsigned long long memory; };
struct process2 { unsigned pid; unsigned long long memory; unsigned instance, compute; };

#define LIST(NAME, TYPE) \
	int NAME(void *device, unsigned *count, struct TYPE *infos) \
	{ \
		CARD; \
		unsigned room = *count; \
		*count = card->pid_count; \
		if (room < card->pid_count) return TOO_SMALL; \
		for (unsigned at = 0; at < card->pid_count; at++) infos[at].pid = card->pids[at]; \
		return SUCCESS; \
	}
LIST(nvmlDeviceGetComputeRunningProcesses, process1)

#ifndef OLD
int nvmlInit_v2(void) { return judge("init"); }
int nvmlDeviceGetCount_v2(unsigned *count) { return nvmlDeviceGetCount(count); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { return nvmlDeviceGetHandleByIndex(index, device); }
LIST(nvmlDeviceGetComputeRunningProcesses_v3, process2)

struct memory2 { unsigned version; unsigned long long total, reserved, free, used; };

int nvmlDeviceGetMemoryInfo_v2(void *device, struct memory2 *memory)
{
	int said = judge("memory");
	if (said) return said;
	if (memory->version != (sizeof *memory | 2u << 24)) return 25;
	CARD;
	memory->total = card->total;
	memory->used = card->used;
	memory->free = card->total - card->used;
	return SUCCESS;
}

int nvmlEventSetCreate(void **set) { *set = (void *)1; return SUCCESS; }
int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set) { (void)types; (void)set; CARD; return SUCCESS; }

struct event { void *device; unsigned long long type, data; unsigned instance, compute; };

int nvmlEventSetWait_v2(void *set, struct event *event, unsigned timeout)
{
	char line[8192];
	unsigned index, number, at = 0;
	FILE *state = open_state();
	(void)set; (void)timeout;
	if (!state) return TIMEOUT;
	while (fgets(line, sizeof line, state)) {
		if (sscanf(line, "xid %u %u", &index, &number) != 2 || at++ < xids_told) continue;
		xids_told++;
		fclose(state);
		*event = (struct event){ (void *)(uintptr_t)(index + 1), 8, number, 0, 0 };
		return SUCCESS;
	}
	fclose(state);
	return TIMEOUT;
}
#endif

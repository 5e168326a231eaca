/*
 * Linux for a board that is a program on this machine (mcconfig -p x-cli-lin): a TAP, the monotonic clock, the command line.
 * All of it runs in the one thread, from GLib's main loop (main.c).
 */
#include "xsmc.h"
#include "xsHost.h"
#include "mc.xs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

typedef struct {
	xsMachine *the;
	xsSlot object;
	xsSlot *onReadable;
	int fd;
	guint source;
} Tap;

static int argumentCount;
static char **argumentWords;

void linuxArguments(int count, char **words)
{
	argumentCount = count;
	argumentWords = words;
}

void xs_linux_argument(xsMachine *the)
{
	int index = xsmcToInteger(xsArg(0));
	if (index >= 0 && index < argumentCount)
		xsmcSetString(xsResult, argumentWords[index]);
}

void xs_linux_now(xsMachine *the)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	xsmcSetNumber(xsResult, at.tv_sec * 1e3 + at.tv_nsec / 1e6);
}

static void release(Tap *tap)
{
	if (tap->source != 0)
		g_source_remove(tap->source);
	close(tap->fd);
	c_free(tap);
}

void xs_tap_destructor(void *data)
{
	if (data != NULL)
		release(data);
}

static void mark(xsMachine *the, void *data, xsMarkRoot markRoot)
{
	Tap *tap = data;
	(*markRoot)(the, tap->onReadable);
}

static const xsHostHooks hooks = { xs_tap_destructor, mark, NULL };

/* One frame, or many: the callback reads until there is none, which is what has us watch the TAP again. */
static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
	Tap *tap = data;
	xsMachine *the = tap->the;
	(void)fd;
	(void)condition;
	tap->source = 0;
	xsBeginHost(the);
	xsCallFunction0(xsReference(tap->onReadable), tap->object);
	xsEndHost(the);
	return G_SOURCE_REMOVE;
}

static int openTap(const char *name)
{
	struct ifreq request;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	memset(&request, 0, sizeof request);
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

void xs_tap_constructor(xsMachine *the)
{
	char name[IFNAMSIZ];
	Tap *tap;
	int fd;
	xsmcToStringBuffer(xsArg(0), name, sizeof name);
	fd = openTap(name);
	if (fd < 0)
		xsUnknownError("TAP %s: %s", name, strerror(errno));
	tap = c_calloc(1, sizeof *tap);
	if (tap == NULL) {
		close(fd);
		xsUnknownError("TAP %s: no memory", name);
	}
	tap->the = the;
	tap->object = xsThis;
	tap->fd = fd;
	tap->onReadable = xsmcToReference(xsArg(1));
	tap->source = g_unix_fd_add(fd, G_IO_IN, readable, tap);
	xsmcSetHostData(xsThis, tap);
	xsSetHostHooks(xsThis, (xsHostHooks *)&hooks);
	xsRemember(tap->object);
}

void xs_tap_read(xsMachine *the)
{
	Tap *tap = xsmcGetHostDataValidate(xsThis, (void *)&hooks);
	void *bytes;
	xsUnsignedValue size;
	ssize_t count;
	xsmcGetBufferWritable(xsArg(0), &bytes, &size);
	count = read(tap->fd, bytes, size);
	if (count <= 0 && tap->source == 0)
		tap->source = g_unix_fd_add(tap->fd, G_IO_IN, readable, tap);
	xsmcSetInteger(xsResult, count > 0 ? (int)count : 0);
}

void xs_tap_write(xsMachine *the)
{
	Tap *tap = xsmcGetHostDataValidate(xsThis, (void *)&hooks);
	void *bytes;
	xsUnsignedValue size;
	xsmcGetBufferReadable(xsArg(0), &bytes, &size);
	xsmcSetBoolean(xsResult, write(tap->fd, bytes, size) == (ssize_t)size);
}

void xs_tap_close(xsMachine *the)
{
	Tap *tap = xsmcGetHostData(xsThis);
	if (tap == NULL)
		return;
	xsmcGetHostDataValidate(xsThis, (void *)&hooks);
	xsForget(tap->object);
	xsmcSetHostData(xsThis, NULL);
	xsmcSetHostDestructor(xsThis, NULL);
	release(tap);
}

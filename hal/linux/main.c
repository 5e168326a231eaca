/*
 * The program that a board is on this machine: prepares the machine that the linker made, imports the module "main", calls what
 * it exports, and runs GLib's main loop, which has the SDK's timers and the TAP. Moddable's command-line platform brings no
 * main() of its own.
 */
#include "xsAll.h"
#include "mc.xs.h"

#include "host.h"

static GMainLoop *loop;
static int status;

/* Says what an exception is that nobody has caught. */
static void describeException(xsMachine *the)
{
	xsBeginHost(the);
	{
		xsVars(1);
		xsTry {
			xsVar(0) = xsException;
			if (xsTest(xsVar(0)) && xsIsInstanceOf(xsVar(0), xsErrorPrototype))
				xsVar(0) = xsGet(xsVar(0), xsID("stack"));
			fprintf(stderr, "%s\n", xsToString(xsVar(0)));
		}
		xsCatch {
		}
	}
	xsEndHost(the);
}

void fxAbort(txMachine *the, int reason)
{
	fprintf(stderr, "linnet: XS stopped: %s\n", fxAbortString(reason));
	if (reason == XS_UNHANDLED_EXCEPTION_EXIT)
		describeException(the);
	exit(70);
}

/* A sketch that cannot start ends the program, with its reason. */
static void start(xsMachine *the)
{
	xsBeginHost(the);
	{
		xsVars(1);
		xsTry {
			xsVar(0) = xsAwaitImport("main", XS_IMPORT_DEFAULT);
			xsCallFunction0(xsVar(0), xsGlobal);
		}
		xsCatch {
			fprintf(stderr, "%s\n", xsToString(xsException));
			status = 1;
			g_main_loop_quit(loop);
		}
	}
	xsEndHost(the);
}

static gboolean startLater(gpointer machine)
{
	start(machine);
	return G_SOURCE_REMOVE;
}

int main(int argc, char *argv[])
{
	xsMachine *the = xsPrepareMachine(NULL, xsPreparation(), "linnet", NULL, NULL);
	if (the == NULL) {
		fprintf(stderr, "linnet: no memory for XS\n");
		return 70;
	}
	linuxArguments(argc - 1, argv + 1);
	/* What a sketch traces is there when its line ends, also behind a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = g_main_loop_new(NULL, FALSE);
	g_idle_add(startLater, the);
	g_main_loop_run(loop);
	xsDeleteMachine(the);
	return status;
}

/*
 * The EMAC for JavaScript: what emac.js calls. Each function runs on the machine's task; the driver's other tasks reach it by
 * one message at a time (notify), which calls onEvent() there.
 *
 * A pointer into a JavaScript buffer is taken after the last call that may allocate and is forgotten before the next: garbage
 * collection moves buffers.
 */
#include "xsmc.h"
#include "xsHost.h"
#include "mc.xs.h"
#include "builtinCommon.h"

#include <stdlib.h>
#include <string.h>

#include "emac-driver.h"

#define MIN_FRAME_BYTES 14
#define MAX_FRAME_BYTES 1518

#define DEFAULT_RING_ENTRIES 16
#define DEFAULT_RING_BYTES 24576
#define MAX_RING_ENTRIES 256

typedef struct {
	EmacDriver driver;
	xsMachine *the;
	xsSlot object;
	xsSlot *onEvent;
	/* The object, and each message on its way. */
	atomic_uint users;
} EmacRecord;

static void release(EmacRecord *record)
{
	if (atomic_fetch_sub(&record->users, 1) == 1)
		c_free(record);
}

/* The machine goes, or the object: nobody calls close() any more. */
void xs_emac_destructor(void *data)
{
	EmacRecord *record = data;
	if (record == NULL)
		return;
	emacDriverClose(&record->driver);
	release(record);
}

static void mark(xsMachine *the, void *data, xsMarkRoot markRoot)
{
	EmacRecord *record = data;
	if (record->onEvent != NULL)
		(*markRoot)(the, record->onEvent);
}

static const xsHostHooks hooks = { xs_emac_destructor, mark, NULL };

/* On the machine's task. */
static void deliver(void *machine, void *context, uint8_t *message, uint16_t length)
{
	EmacRecord *record = context;
	(void)message;
	(void)length;
	if (!atomic_load(&record->driver.closed) && record->onEvent != NULL) {
		xsMachine *the = machine;
		xsBeginHost(the);
		xsCallFunction0(xsReference(record->onEvent), record->object);
		xsEndHost(the);
	}
	release(record);
}

/* On the driver's tasks. */
static bool notify(void *context)
{
	EmacRecord *record = context;
	atomic_fetch_add(&record->users, 1);
	if (modMessagePostToMachine(record->the, NULL, 0, deliver, record) == 0)
		return true;
	atomic_fetch_sub(&record->users, 1);
	return false;
}

static int integerOption(xsMachine *the, xsIdentifier id, int fallback, int least, int most, const char *what)
{
	if (!xsmcHas(xsArg(0), id))
		return fallback;
	xsmcGet(xsVar(0), xsArg(0), id);
	int value = xsmcToInteger(xsVar(0));
	if (value < least || value > most)
		xsRangeError("emac: option %s is %d; it must be from %d to %d", what, value, least, most);
	return value;
}

static void readOptions(xsMachine *the, EmacOptions *options)
{
	options->phyAddress = integerOption(the, xsID_phyAddress, -1, -1, 31, "phyAddress");
	options->phyReset = integerOption(the, xsID_phyReset, -1, -1, 39, "phyReset");
	options->power = integerOption(the, xsID_power, -1, -1, 39, "power");
	options->mdc = integerOption(the, xsID_mdc, 23, 0, 39, "mdc");
	options->mdio = integerOption(the, xsID_mdio, 18, 0, 39, "mdio");
	options->clockPin = integerOption(the, xsID_clockPin, 0, 0, 17, "clockPin");
	options->ringEntries = integerOption(the, xsID_ring, DEFAULT_RING_ENTRIES, 2, MAX_RING_ENTRIES, "ring");
	if ((options->ringEntries & (options->ringEntries - 1)) != 0)
		xsRangeError("emac: option ring is %d; it must be a power of two", (int)options->ringEntries);
	options->ringBytes = integerOption(the, xsID_ringBytes, DEFAULT_RING_BYTES, 2048, 262144, "ringBytes");
	options->clockOut = false;
	if (xsmcHas(xsArg(0), xsID_clockOut)) {
		xsmcGet(xsVar(0), xsArg(0), xsID_clockOut);
		options->clockOut = xsmcTest(xsVar(0));
	}
	options->hasMac = xsmcHas(xsArg(0), xsID_address);
	if (options->hasMac) {
		void *data;
		xsUnsignedValue count;
		xsmcGet(xsVar(0), xsArg(0), xsID_address);
		xsmcGetBufferReadable(xsVar(0), &data, &count);
		if (count != sizeof(options->mac))
			xsRangeError("emac: option address has %d bytes; it must have 6", (int)count);
		memcpy(options->mac, data, sizeof(options->mac));
	}
}

void xs_emac_constructor(xsMachine *the)
{
	EmacOptions options;
	xsmcVars(1);
	readOptions(the, &options);
	xsSlot *onEvent = builtinGetCallback(the, xsID_onEvent);
	EmacRecord *record = c_calloc(1, sizeof(EmacRecord));
	if (record == NULL)
		xsUnknownError("emac: no memory");
	record->the = the;
	record->object = xsThis;
	record->onEvent = onEvent;
	atomic_init(&record->users, 1);
	record->driver.notify = notify;
	record->driver.context = record;
	const char *failed = emacDriverOpen(&record->driver, &options);
	if (failed != NULL) {
		release(record);
		xsUnknownError("emac: %s failed (PHY address %d, MDC %d, MDIO %d, clock %s GPIO %d)", failed, options.phyAddress, options.mdc,
			options.mdio, options.clockOut ? "out of" : "into", options.clockPin);
	}
	xsmcSetHostData(xsThis, record);
	xsSetHostHooks(xsThis, &hooks);
	xsRemember(record->object);
}

void xs_emac_close(xsMachine *the)
{
	EmacRecord *record = xsmcGetHostData(xsThis);
	if (record == NULL)
		return;
	xsmcGetHostDataValidate(xsThis, (void *)&hooks);
	xsForget(record->object);
	xsmcSetHostData(xsThis, NULL);
	xsSetHostDestructor(xsThis, NULL);
	xs_emac_destructor(record);
}

static EmacRecord *recordOf(xsMachine *the)
{
	return xsmcGetHostDataValidate(xsThis, (void *)&hooks);
}

/* length(): bytes of the oldest frame, 0 for none. */
void xs_emac_length(xsMachine *the)
{
	xsmcSetInteger(xsResult, emacRingLength(&recordOf(the)->driver.ring));
}

/* receive(buffer, offset): copies the oldest frame and forgets it; its length, or 0 when there is none or no room for it. */
void xs_emac_receive(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	uint32_t offset = xsmcToUnsigned(xsArg(1));
	void *data;
	xsUnsignedValue count;
	xsmcGetBufferWritable(xsArg(0), &data, &count);
	uint32_t length = 0;
	uint8_t *frame = emacRingPop(&record->driver.ring, &length);
	if (frame == NULL || offset > count || length > count - offset)
		length = 0;
	else
		memcpy((uint8_t *)data + offset, frame, length);
	free(frame);
	xsmcSetInteger(xsResult, length);
}

/* drop(): forgets the oldest frame. */
void xs_emac_drop(xsMachine *the)
{
	uint32_t length;
	free(emacRingPop(&recordOf(the)->driver.ring, &length));
}

/* transmit(buffer, offset, length): 0 sent, 1 no descriptor free, 2 refused. */
void xs_emac_transmit(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	uint32_t offset = xsmcToUnsigned(xsArg(1));
	uint32_t length = xsmcToUnsigned(xsArg(2));
	void *data;
	xsUnsignedValue count;
	xsmcGetBufferReadable(xsArg(0), &data, &count);
	if (length < MIN_FRAME_BYTES || length > MAX_FRAME_BYTES || offset > count || length > count - offset)
		xsRangeError("emac: no frame of %d bytes at %d", (int)length, (int)offset);
	xsmcSetInteger(xsResult, emacDriverTransmit(&record->driver, (const uint8_t *)data + offset, length));
}

void xs_emac_get_linkUp(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	atomic_store(&record->driver.linkPending, false);
	xsmcSetBoolean(xsResult, atomic_load(&record->driver.linkUp));
}

void xs_emac_get_speed(xsMachine *the)
{
	xsmcSetInteger(xsResult, emacDriverSpeed(&recordOf(the)->driver));
}

void xs_emac_get_fullDuplex(xsMachine *the)
{
	xsmcSetBoolean(xsResult, emacDriverFullDuplex(&recordOf(the)->driver));
}

void xs_emac_get_dropped(xsMachine *the)
{
	xsmcSetInteger(xsResult, (int32_t)atomic_load(&recordOf(the)->driver.ring.dropped));
}

/* readAddress(buffer): fills six bytes. */
void xs_emac_readAddress(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	void *data;
	xsUnsignedValue count;
	xsmcGetBufferWritable(xsArg(0), &data, &count);
	if (count != sizeof(record->driver.mac))
		xsRangeError("emac: an address has 6 bytes, not %d", (int)count);
	memcpy(data, record->driver.mac, sizeof(record->driver.mac));
}

/* setAddress(buffer): takes six bytes; whether the EMAC took them. */
void xs_emac_setAddress(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	void *data;
	xsUnsignedValue count;
	xsmcGetBufferReadable(xsArg(0), &data, &count);
	if (count != sizeof(record->driver.mac))
		xsRangeError("emac: an address has 6 bytes, not %d", (int)count);
	bool taken = emacDriverSetMac(&record->driver, data);
	if (taken)
		memcpy(record->driver.mac, data, sizeof(record->driver.mac));
	xsmcSetBoolean(xsResult, taken);
}

/* setPromiscuous(on) */
void xs_emac_setPromiscuous(xsMachine *the)
{
	EmacRecord *record = recordOf(the);
	xsmcSetBoolean(xsResult, emacDriverSetPromiscuous(&record->driver, xsmcTest(xsArg(0))));
}

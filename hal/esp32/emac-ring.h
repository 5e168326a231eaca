/*
 * The ring between the EMAC's receive task and the JavaScript task: one producer, one consumer, no lock.
 *
 * The producer owns `head`, the consumer owns `tail`; an entry is the heap buffer that the driver hands over, so that a frame
 * is not copied on its way in. The ring is bounded by entries and by bytes: a flood costs at most maxBytes of heap, and what
 * does not fit is the caller's to free.
 *
 * Waking the consumer costs a message in a queue of ten, so it is told once, when the empty ring gets its first frame, and
 * not again until it has found the ring empty (NAPI's rule: the interrupt stays masked while there is work). `asleep` is the
 * mask; emacRingLength() sets it and looks once more, so that no frame is left behind between the look and the sleep.
 *
 * Pure C11: it knows neither the IDF nor XS and is tested on the host (test/native/emac-ring.c).
 */
#ifndef LINNET_EMAC_RING_H
#define LINNET_EMAC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint8_t *frame;
	uint32_t length;
} EmacEntry;

typedef struct {
	EmacEntry *entries;
	uint32_t mask;
	uint32_t maxBytes;
	_Atomic uint32_t head;
	_Atomic uint32_t tail;
	/* Bytes that wait. */
	_Atomic uint32_t bytes;
	/* Frames refused because the ring was full. */
	_Atomic uint32_t dropped;
	/* The consumer has found the ring empty and waits to be told. */
	atomic_bool asleep;
} EmacRing;

/* What emacRingPush() answers. */
enum {
	/* No room, counted: the frame is still the caller's. */
	kEmacRingFull = 0,
	kEmacRingQueued = 1,
	/* Queued, and the consumer must be told. */
	kEmacRingWake = 2,
};

/* entries: a power of two. Returns false when there is no memory. The consumer begins asleep. */
bool emacRingInit(EmacRing *ring, uint32_t entries, uint32_t maxBytes);

/* Producer: hands a heap buffer over. */
int emacRingPush(EmacRing *ring, uint8_t *frame, uint32_t length);

/* Producer: the message that kEmacRingWake asked for could not be posted; the next frame asks again. */
void emacRingWakeFailed(EmacRing *ring);

/* Consumer: bytes of the oldest frame; 0 when there is none, from when on the next push asks for a wake-up. */
uint32_t emacRingLength(EmacRing *ring);

/* Consumer: the oldest frame, its to free; NULL when there is none. Does not put the consumer to sleep. */
uint8_t *emacRingPop(EmacRing *ring, uint32_t *length);

/* Frees the ring and all that waits. No producer may be left. */
void emacRingFree(EmacRing *ring);

#endif

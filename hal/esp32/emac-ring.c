#include "emac-ring.h"

#include <stddef.h>
#include <stdlib.h>

bool emacRingInit(EmacRing *ring, uint32_t entries, uint32_t maxBytes)
{
	ring->entries = calloc(entries, sizeof(EmacEntry));
	ring->mask = entries - 1;
	ring->maxBytes = maxBytes;
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->bytes, 0);
	atomic_init(&ring->dropped, 0);
	atomic_init(&ring->asleep, true);
	return ring->entries != NULL;
}

int emacRingPush(EmacRing *ring, uint8_t *frame, uint32_t length)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	if (head - tail > ring->mask || atomic_load(&ring->bytes) + length > ring->maxBytes) {
		atomic_fetch_add(&ring->dropped, 1);
		return kEmacRingFull;
	}
	ring->entries[head & ring->mask] = (EmacEntry){ frame, length };
	atomic_fetch_add(&ring->bytes, length);
	/* Sequentially consistent with `asleep`: either this push sees the sleeper, or the sleeper sees this frame. */
	atomic_store(&ring->head, head + 1);
	return atomic_exchange(&ring->asleep, false) ? kEmacRingWake : kEmacRingQueued;
}

void emacRingWakeFailed(EmacRing *ring)
{
	atomic_store(&ring->asleep, true);
}

uint32_t emacRingLength(EmacRing *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (atomic_load_explicit(&ring->head, memory_order_acquire) == tail) {
		atomic_store(&ring->asleep, true);
		if (atomic_load(&ring->head) == tail)
			return 0;
		/* A frame came in between. If its push took the wake-up, one message too many is on its way: harmless. */
		atomic_store(&ring->asleep, false);
	}
	return ring->entries[tail & ring->mask].length;
}

uint8_t *emacRingPop(EmacRing *ring, uint32_t *length)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (atomic_load_explicit(&ring->head, memory_order_acquire) == tail)
		return NULL;
	EmacEntry entry = ring->entries[tail & ring->mask];
	*length = entry.length;
	atomic_fetch_sub(&ring->bytes, entry.length);
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return entry.frame;
}

void emacRingFree(EmacRing *ring)
{
	uint32_t length;
	uint8_t *frame;
	if (ring->entries == NULL)
		return;
	while ((frame = emacRingPop(ring, &length)) != NULL)
		free(frame);
	free(ring->entries);
	ring->entries = NULL;
}

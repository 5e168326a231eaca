/*
 * Two threads over the ring of hal/esp32: every frame arrives once and in order, or is refused and counted; the consumer
 * sleeps only while the ring is empty and is woken once for each time it slept. Built with sanitizers by
 * test/unit/hal/esp32/native.test.ts. Usage: emac-ring FRAMES ENTRIES MAX_BYTES
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emac-ring.h"

static EmacRing ring;
static sem_t message;
static uint32_t frames;
static uint32_t refused;
static atomic_bool producing = true;

static void fail(const char *what, uint32_t frame)
{
	fprintf(stderr, "%s at frame %u\n", what, frame);
	exit(1);
}

static uint32_t lengthOf(uint32_t number)
{
	return 60 + number * 7919 % 1459;
}

static void *produce(void *unused)
{
	(void)unused;
	for (uint32_t number = 0; number < frames; number++) {
		uint32_t length = lengthOf(number);
		uint8_t *frame = malloc(length);
		memset(frame, (int)(number & 255), length);
		memcpy(frame, &number, sizeof(number));
		switch (emacRingPush(&ring, frame, length)) {
		case kEmacRingFull:
			refused++;
			free(frame);
			break;
		case kEmacRingWake:
			/* A lost message: the next frame must ask again. */
			if (number % 1000 == 999)
				emacRingWakeFailed(&ring);
			else
				sem_post(&message);
			break;
		}
	}
	atomic_store(&producing, false);
	sem_post(&message);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	frames = (uint32_t)strtoul(argv[1], NULL, 10);
	if (!emacRingInit(&ring, (uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10)))
		return 2;
	sem_init(&message, 0, 0);
	pthread_t producer;
	pthread_create(&producer, NULL, produce, NULL);
	uint32_t received = 0;
	uint32_t wakeups = 0;
	uint32_t least = 0;
	for (bool last = false; !last;) {
		sem_wait(&message);
		wakeups++;
		last = !atomic_load(&producing);
		uint32_t length;
		while ((length = emacRingLength(&ring)) != 0) {
			uint32_t popped;
			uint8_t *frame = emacRingPop(&ring, &popped);
			uint32_t number;
			memcpy(&number, frame, sizeof(number));
			if (popped != length || length != lengthOf(number))
				fail("wrong length", number);
			if (number < least)
				fail("out of order or twice", number);
			if (frame[length - 1] != (number & 255))
				fail("wrong bytes", number);
			least = number + 1;
			received++;
			free(frame);
		}
	}
	pthread_join(producer, NULL);
	if (received + refused != frames || refused != atomic_load(&ring.dropped))
		fail("frames lost", received);
	if (atomic_load(&ring.bytes) != 0)
		fail("bytes left", received);
	emacRingFree(&ring);
	printf("{\"received\":%u,\"refused\":%u,\"wakeups\":%u}\n", received, refused, wakeups);
	return 0;
}

/*
 * The ESP32's EMAC at layer 2: esp_eth without esp_netif, so that lwIP never sees a frame. Everything about threads is here and
 * in emac-ring.h; nothing here knows JavaScript.
 *
 * Three tasks meet: emac_rx gives frames (frameReceived), sys_evt tells of the link (linkChanged), and the owner's task does
 * everything else. The first two only touch atomics, the ring and `notify`, and do nothing once `closed` is set;
 * emacDriverClose() waits until the callback has left before it deletes the task that calls it.
 */
#ifndef LINNET_EMAC_DRIVER_H
#define LINNET_EMAC_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "emac-ring.h"
#include "esp_eth.h"

typedef struct {
	/* -1: find it. */
	int phyAddress;
	/* GPIO numbers; -1 for none. */
	int phyReset;
	int power;
	int mdc;
	int mdio;
	/* The 50 MHz reference: an input (from an oscillator or the PHY) unless clockOut. */
	bool clockOut;
	int clockPin;
	bool hasMac;
	uint8_t mac[6];
	/* Power of two. */
	uint32_t ringEntries;
	uint32_t ringBytes;
} EmacOptions;

typedef struct EmacDriver {
	EmacRing ring;
	atomic_bool closed;
	/* The input callback is running. */
	atomic_bool busy;
	atomic_bool linkUp;
	/* A change of the link has not been told yet. */
	atomic_bool linkPending;
	/*
	 * Asks the owner's task to look at the ring and the link. Called on the other tasks; false when it could not be asked.
	 */
	bool (*notify)(void *context);
	void *context;
	/* How far the opening got, for the way back. */
	esp_eth_mac_t *macObject;
	esp_eth_phy_t *phyObject;
	esp_eth_handle_t handle;
	esp_event_handler_instance_t events;
	bool started;
	int power;
	uint8_t mac[6];
} EmacDriver;

/*
 * Opens the one EMAC; `notify` and `context` are set before. Returns NULL, or what failed (everything is released then):
 * "in use", "no memory", "mac", "phy", "install", "address", "events", "start".
 */
const char *emacDriverOpen(EmacDriver *driver, const EmacOptions *options);

/* Stops and frees everything; harmless twice. Blocks for some ms at most. */
void emacDriverClose(EmacDriver *driver);

/* What emacDriverTransmit() answers. */
enum {
	kEmacSent = 0,
	/* No descriptor free: try again. */
	kEmacBusy = 1,
	/* No link, or the driver refuses the frame. */
	kEmacRefused = 2,
};
int emacDriverTransmit(EmacDriver *driver, const uint8_t *frame, uint32_t length);

bool emacDriverSetMac(EmacDriver *driver, const uint8_t mac[6]);
bool emacDriverSetPromiscuous(EmacDriver *driver, bool on);
/* Mbit/s, 0 when it is not known. */
int emacDriverSpeed(EmacDriver *driver);
bool emacDriverFullDuplex(EmacDriver *driver);

#endif

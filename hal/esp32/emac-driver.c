#include "emac-driver.h"

#include <stdlib.h>
#include <string.h>

#include "driver/gpio.h"
#include "esp_event.h"
#include "esp_mac.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

/* From power on to a steady 50 MHz clock, which the EMAC needs during its own reset. */
#define POWER_UP_MS 200
/* The link timer holds a reference now and then; uninstalling is tried again for as many ticks. */
#define UNINSTALL_TRIES 50

/* Ticks after which a stopped EMAC's receive task has nothing left to hand over. */
#define QUIET_TICKS 2

/* There is one EMAC. */
static atomic_bool inUse;

/* emac_rx: the buffer is ours from here on, whatever is answered. */
static esp_err_t frameReceived(esp_eth_handle_t handle, uint8_t *frame, uint32_t length, void *context)
{
	EmacDriver *driver = context;
	(void)handle;
	atomic_store(&driver->busy, true);
	if (atomic_load(&driver->closed)) {
		free(frame);
	} else {
		switch (emacRingPush(&driver->ring, frame, length)) {
		case kEmacRingFull:
			free(frame);
			break;
		case kEmacRingWake:
			if (!driver->notify(driver->context))
				emacRingWakeFailed(&driver->ring);
			break;
		}
	}
	atomic_store(&driver->busy, false);
	return ESP_OK;
}

/* sys_evt: only the last state counts, so one message stands for any number of changes. */
static void linkChanged(void *context, esp_event_base_t base, int32_t event, void *data)
{
	EmacDriver *driver = context;
	(void)base;
	(void)data;
	if (event != ETHERNET_EVENT_CONNECTED && event != ETHERNET_EVENT_DISCONNECTED && event != ETHERNET_EVENT_STOP)
		return;
	atomic_store(&driver->linkUp, event == ETHERNET_EVENT_CONNECTED);
	if (atomic_load(&driver->closed) || atomic_exchange(&driver->linkPending, true))
		return;
	if (!driver->notify(driver->context))
		atomic_store(&driver->linkPending, false);
}

static void powerOn(EmacDriver *driver, const EmacOptions *options)
{
	driver->power = options->power;
	if (options->power >= 0) {
		gpio_reset_pin(options->power);
		gpio_set_direction(options->power, GPIO_MODE_OUTPUT);
		gpio_set_level(options->power, 1);
		vTaskDelay(pdMS_TO_TICKS(POWER_UP_MS));
	}
	/* Boards without a pull-up on MDIO read all ones otherwise. */
	gpio_set_pull_mode(options->mdio, GPIO_PULLUP_ONLY);
}

static const char *createObjects(EmacDriver *driver, const EmacOptions *options)
{
	eth_mac_config_t macConfig = ETH_MAC_DEFAULT_CONFIG();
	eth_esp32_emac_config_t emacConfig = ETH_ESP32_EMAC_DEFAULT_CONFIG();
	emacConfig.smi_gpio.mdc_num = options->mdc;
	emacConfig.smi_gpio.mdio_num = options->mdio;
	emacConfig.clock_config.rmii.clock_mode = options->clockOut ? EMAC_CLK_OUT : EMAC_CLK_EXT_IN;
	emacConfig.clock_config.rmii.clock_gpio = options->clockPin;
	driver->macObject = esp_eth_mac_new_esp32(&emacConfig, &macConfig);
	if (driver->macObject == NULL)
		return "mac";
	eth_phy_config_t phyConfig = ETH_PHY_DEFAULT_CONFIG();
	phyConfig.phy_addr = options->phyAddress;
	phyConfig.reset_gpio_num = options->phyReset;
	driver->phyObject = esp_eth_phy_new_generic(&phyConfig);
	return driver->phyObject == NULL ? "phy" : NULL;
}

static const char *start(EmacDriver *driver, const EmacOptions *options)
{
	esp_eth_config_t config = ETH_DEFAULT_CONFIG(driver->macObject, driver->phyObject);
	if (esp_eth_driver_install(&config, &driver->handle) != ESP_OK) {
		driver->handle = NULL;
		return "install";
	}
	if (options->hasMac)
		memcpy(driver->mac, options->mac, sizeof(driver->mac));
	else if (esp_read_mac(driver->mac, ESP_MAC_ETH) != ESP_OK)
		return "address";
	if (!emacDriverSetMac(driver, driver->mac))
		return "address";
	esp_err_t err = esp_event_loop_create_default();
	if (err != ESP_OK && err != ESP_ERR_INVALID_STATE)
		return "events";
	if (esp_event_handler_instance_register(ETH_EVENT, ESP_EVENT_ANY_ID, linkChanged, driver, &driver->events) != ESP_OK) {
		driver->events = NULL;
		return "events";
	}
	if (esp_eth_update_input_path(driver->handle, frameReceived, driver) != ESP_OK)
		return "start";
	if (esp_eth_start(driver->handle) != ESP_OK)
		return "start";
	driver->started = true;
	return NULL;
}

const char *emacDriverOpen(EmacDriver *driver, const EmacOptions *options)
{
	if (atomic_exchange(&inUse, true))
		return "in use";
	driver->power = -1;
	atomic_init(&driver->closed, false);
	atomic_init(&driver->busy, false);
	atomic_init(&driver->linkUp, false);
	atomic_init(&driver->linkPending, false);
	const char *failed = emacRingInit(&driver->ring, options->ringEntries, options->ringBytes) ? NULL : "no memory";
	if (failed == NULL) {
		powerOn(driver, options);
		failed = createObjects(driver, options);
	}
	if (failed == NULL)
		failed = start(driver, options);
	if (failed != NULL)
		emacDriverClose(driver);
	return failed;
}

void emacDriverClose(EmacDriver *driver)
{
	if (atomic_exchange(&driver->closed, true))
		return;
	if (driver->started)
		esp_eth_stop(driver->handle);
	if (driver->events != NULL)
		esp_event_handler_instance_unregister(ETH_EVENT, ESP_EVENT_ANY_ID, driver->events);
	if (driver->handle != NULL) {
		/*
		 * Stopping does not wait for the receive task, and the input path cannot be taken away safely while that task runs (its
		 * function and its context are two words). So the callback stays, frees what still comes, and is waited for: deleting the
		 * MAC deletes the task wherever it is, and that must not be inside of free().
		 */
		do
			vTaskDelay(QUIET_TICKS);
		while (atomic_load(&driver->busy));
		for (int tries = 0; tries < UNINSTALL_TRIES && esp_eth_driver_uninstall(driver->handle) != ESP_OK; tries++)
			vTaskDelay(1);
	}
	if (driver->macObject != NULL)
		driver->macObject->del(driver->macObject);
	if (driver->phyObject != NULL)
		driver->phyObject->del(driver->phyObject);
	/* Only now is nobody left who could push. */
	emacRingFree(&driver->ring);
	if (driver->power >= 0)
		gpio_set_level(driver->power, 0);
	driver->handle = NULL;
	driver->macObject = NULL;
	driver->phyObject = NULL;
	driver->events = NULL;
	driver->started = false;
	atomic_store(&inUse, false);
}

int emacDriverTransmit(EmacDriver *driver, const uint8_t *frame, uint32_t length)
{
	if (!atomic_load(&driver->linkUp))
		return kEmacRefused;
	/* The frame is copied into the descriptors before this returns. */
	esp_err_t err = esp_eth_transmit(driver->handle, (void *)frame, length);
	if (err == ESP_OK)
		return kEmacSent;
	return err == ESP_ERR_NO_MEM ? kEmacBusy : kEmacRefused;
}

bool emacDriverSetMac(EmacDriver *driver, const uint8_t mac[6])
{
	uint8_t copy[6];
	memcpy(copy, mac, sizeof(copy));
	return esp_eth_ioctl(driver->handle, ETH_CMD_S_MAC_ADDR, copy) == ESP_OK;
}

bool emacDriverSetPromiscuous(EmacDriver *driver, bool on)
{
	return esp_eth_ioctl(driver->handle, ETH_CMD_S_PROMISCUOUS, &on) == ESP_OK;
}

int emacDriverSpeed(EmacDriver *driver)
{
	eth_speed_t speed;
	if (esp_eth_ioctl(driver->handle, ETH_CMD_G_SPEED, &speed) != ESP_OK)
		return 0;
	return speed == ETH_SPEED_100M ? 100 : 10;
}

bool emacDriverFullDuplex(EmacDriver *driver)
{
	eth_duplex_t duplex;
	return esp_eth_ioctl(driver->handle, ETH_CMD_G_DUPLEX_MODE, &duplex) == ESP_OK && duplex == ETH_DUPLEX_FULL;
}

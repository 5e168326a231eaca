/*
 * hal/esp32/emac-driver.c against a stand-in of the IDF: frames pour in from a receive task and link events from another
 * while the owner opens, receives, sends and closes, again and again; then each step of opening fails in turn. Nothing may be
 * used after it was freed, leaked or left running. Built with sanitizers by test/unit/hal/esp32/native.test.ts.
 * Usage: emac-driver ROUNDS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emac-driver.h"

esp_event_base_t ETH_EVENT = "ETH_EVENT";

typedef esp_err_t (*Input)(esp_eth_handle_t, uint8_t *, uint32_t, void *);
typedef void (*Handler)(void *, esp_event_base_t, int32_t, void *);

/* The step that fails next, counted from 1; 0 for none. */
static int failing;
static int step;
/* What is held of the stand-in: objects, the installation, the handler. */
static int held;
static Input input;
static void *inputContext;
static Handler handler;
static void *handlerContext;
static pthread_mutex_t handlerLock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t rxTask;
static pthread_t eventTask;
static bool rxRuns;
static atomic_bool rxStop;
static atomic_bool eventStop;
static atomic_bool dma;
static int installs;
static int sent;

static void fail(const char *what)
{
	fprintf(stderr, "%s (failing step %d)\n", what, failing);
	exit(1);
}

static bool fails(void)
{
	return ++step == failing;
}

static void pause_(long us)
{
	struct timespec time = { 0, us * 1000 };
	nanosleep(&time, NULL);
}

/* The receive task lives from the MAC's making to its deletion, as the IDF's does. */
static void *receiveTask(void *unused)
{
	(void)unused;
	for (uint32_t n = 0; !atomic_load(&rxStop); n++) {
		if (!atomic_load(&dma)) {
			pause_(20);
			continue;
		}
		uint8_t *frame = malloc(60 + n % 1400);
		memset(frame, 1, 60 + n % 1400);
		input(&installs, frame, 60 + n % 1400, inputContext);
		if (n % 16 == 0)
			pause_(10);
	}
	return NULL;
}

static void *eventsTask(void *unused)
{
	(void)unused;
	for (int n = 0; !atomic_load(&eventStop); n++) {
		pthread_mutex_lock(&handlerLock);
		if (handler != NULL)
			handler(handlerContext, ETH_EVENT, n % 5 == 4 ? ETHERNET_EVENT_DISCONNECTED : ETHERNET_EVENT_CONNECTED, NULL);
		pthread_mutex_unlock(&handlerLock);
		pause_(50);
	}
	return NULL;
}

static esp_err_t deleteMac(esp_eth_mac_t *mac)
{
	atomic_store(&rxStop, true);
	pthread_join(rxTask, NULL);
	rxRuns = false;
	held--;
	free(mac);
	return ESP_OK;
}

static esp_err_t deletePhy(esp_eth_phy_t *phy)
{
	held--;
	free(phy);
	return ESP_OK;
}

esp_eth_mac_t *esp_eth_mac_new_esp32(const eth_esp32_emac_config_t *emac, const eth_mac_config_t *config)
{
	(void)config;
	if (emac->smi_gpio.mdc_num != 23 || emac->clock_config.rmii.clock_mode != EMAC_CLK_OUT || emac->clock_config.rmii.clock_gpio != 17)
		fail("wrong pins");
	if (fails())
		return NULL;
	esp_eth_mac_t *mac = malloc(sizeof(*mac));
	mac->del = deleteMac;
	held++;
	atomic_store(&rxStop, false);
	pthread_create(&rxTask, NULL, receiveTask, NULL);
	rxRuns = true;
	return mac;
}

esp_eth_phy_t *esp_eth_phy_new_generic(const eth_phy_config_t *config)
{
	if (config->phy_addr != -1 || config->reset_gpio_num != -1)
		fail("wrong PHY");
	if (fails())
		return NULL;
	esp_eth_phy_t *phy = malloc(sizeof(*phy));
	phy->del = deletePhy;
	held++;
	return phy;
}

esp_err_t esp_eth_driver_install(const esp_eth_config_t *config, esp_eth_handle_t *handle)
{
	(void)config;
	*handle = &installs;
	if (fails())
		return ESP_FAIL;
	held++;
	return ESP_OK;
}

esp_err_t esp_eth_driver_uninstall(esp_eth_handle_t handle)
{
	static int tries;
	(void)handle;
	if (atomic_load(&dma))
		fail("uninstalled while it runs");
	/* Now and then the link timer holds a reference. */
	if (++tries % 3 == 0)
		return ESP_ERR_INVALID_STATE;
	held--;
	return ESP_OK;
}

esp_err_t esp_eth_update_input_path(esp_eth_handle_t handle, Input function, void *context)
{
	(void)handle;
	if (atomic_load(&dma))
		fail("the input path changed while it runs");
	if (fails())
		return ESP_FAIL;
	input = function;
	inputContext = context;
	return ESP_OK;
}

esp_err_t esp_eth_start(esp_eth_handle_t handle)
{
	(void)handle;
	if (fails())
		return ESP_FAIL;
	atomic_store(&dma, true);
	return ESP_OK;
}

esp_err_t esp_eth_stop(esp_eth_handle_t handle)
{
	(void)handle;
	/* The receive task may be inside the callback right now. */
	atomic_store(&dma, false);
	return ESP_OK;
}

esp_err_t esp_eth_transmit(esp_eth_handle_t handle, void *frame, size_t length)
{
	(void)handle;
	(void)frame;
	(void)length;
	sent++;
	return sent % 4 == 0 ? ESP_ERR_NO_MEM : ESP_OK;
}

esp_err_t esp_eth_ioctl(esp_eth_handle_t handle, esp_eth_io_cmd_t command, void *data)
{
	(void)handle;
	if (command == ETH_CMD_G_SPEED)
		*(eth_speed_t *)data = ETH_SPEED_100M;
	if (command == ETH_CMD_G_DUPLEX_MODE)
		*(eth_duplex_t *)data = ETH_DUPLEX_FULL;
	return command == ETH_CMD_S_MAC_ADDR && fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_event_loop_create_default(void)
{
	static bool made;
	if (fails())
		return ESP_FAIL;
	if (made)
		return ESP_ERR_INVALID_STATE;
	made = true;
	return ESP_OK;
}

esp_err_t esp_event_handler_instance_register(
	esp_event_base_t base, int32_t event, Handler function, void *context, esp_event_handler_instance_t *instance)
{
	(void)base;
	(void)event;
	if (fails())
		return ESP_FAIL;
	pthread_mutex_lock(&handlerLock);
	handler = function;
	handlerContext = context;
	pthread_mutex_unlock(&handlerLock);
	*instance = &handler;
	held++;
	return ESP_OK;
}

esp_err_t esp_event_handler_instance_unregister(esp_event_base_t base, int32_t event, esp_event_handler_instance_t instance)
{
	(void)base;
	(void)event;
	(void)instance;
	pthread_mutex_lock(&handlerLock);
	handler = NULL;
	pthread_mutex_unlock(&handlerLock);
	held--;
	return ESP_OK;
}

esp_err_t esp_read_mac(uint8_t *mac, int type)
{
	(void)type;
	memset(mac, 2, 6);
	return fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t gpio_reset_pin(int pin) { return pin - pin; }
esp_err_t gpio_set_direction(int pin, int mode) { return pin - pin + mode - mode; }
esp_err_t gpio_set_pull_mode(int pin, int mode) { return pin - pin + mode - mode; }
esp_err_t gpio_set_level(int pin, uint32_t level) { return pin - pin + (int)(level - level); }

void vTaskDelay(uint32_t ticks)
{
	pause_(ticks > 10 ? 10 : 200 * (long)ticks);
}

static atomic_int messages;

static bool notify(void *context)
{
	static atomic_int calls;
	(void)context;
	/* The machine's queue is full now and then. */
	if (atomic_fetch_add(&calls, 1) % 50 == 49)
		return false;
	atomic_fetch_add(&messages, 1);
	return true;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int rounds = atoi(argv[1]);
	EmacOptions options = {
		.phyAddress = -1, .phyReset = -1, .power = 5, .mdc = 23, .mdio = 18, .clockOut = true, .clockPin = 17, .ringEntries = 8,
		.ringBytes = 8192,
	};
	pthread_create(&eventTask, NULL, eventsTask, NULL);
	uint64_t received = 0;
	for (int round = 0; round < rounds; round++) {
		EmacDriver *driver = calloc(1, sizeof(EmacDriver));
		driver->notify = notify;
		const char *failed = emacDriverOpen(driver, &options);
		if (failed != NULL)
			fail(failed);
		EmacDriver second = { .notify = notify };
		failed = emacDriverOpen(&second, &options);
		if (failed == NULL || strcmp(failed, "in use") != 0)
			fail("the one EMAC was opened twice");
		for (int n = 0; n < 200; n++) {
			uint32_t length;
			if (emacRingLength(&driver->ring) == 0) {
				pause_(20);
				continue;
			}
			free(emacRingPop(&driver->ring, &length));
			received++;
			emacDriverTransmit(driver, driver->mac, 60);
			atomic_store(&driver->linkPending, false);
		}
		emacDriverClose(driver);
		emacDriverClose(driver);
		if (held != 0 || rxRuns)
			fail("something is left after close");
		free(driver);
	}
	int steps = 0;
	for (failing = 1;; failing++) {
		EmacDriver *driver = calloc(1, sizeof(EmacDriver));
		driver->notify = notify;
		step = 0;
		bool open = emacDriverOpen(driver, &options) == NULL;
		emacDriverClose(driver);
		free(driver);
		if (held != 0 || rxRuns)
			fail("something is left after a failure");
		if (open)
			break;
		steps++;
	}
	atomic_store(&eventStop, true);
	pthread_join(eventTask, NULL);
	if (received == 0 || atomic_load(&messages) == 0)
		fail("nothing was received");
	printf("{\"received\":%lu,\"messages\":%d,\"failedSteps\":%d}\n", (unsigned long)received, atomic_load(&messages), steps);
	return 0;
}

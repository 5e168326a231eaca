/* As much of the IDF's Ethernet interface as hal/esp32/emac-driver.c uses, declared anew for tests on the host. */
#ifndef FAKE_ESP_ETH_H
#define FAKE_ESP_ETH_H

#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
enum { ESP_OK = 0, ESP_FAIL = -1, ESP_ERR_NO_MEM = 0x101, ESP_ERR_INVALID_STATE = 0x103 };

typedef void *esp_eth_handle_t;
typedef struct esp_eth_mac_s esp_eth_mac_t;
typedef struct esp_eth_phy_s esp_eth_phy_t;
struct esp_eth_mac_s {
	esp_err_t (*del)(esp_eth_mac_t *mac);
};
struct esp_eth_phy_s {
	esp_err_t (*del)(esp_eth_phy_t *phy);
};

typedef struct {
	int unused;
} eth_mac_config_t;
typedef enum { EMAC_CLK_EXT_IN, EMAC_CLK_OUT } emac_rmii_clock_mode_t;
typedef struct {
	struct {
		int mdc_num;
		int mdio_num;
	} smi_gpio;
	struct {
		struct {
			emac_rmii_clock_mode_t clock_mode;
			int clock_gpio;
		} rmii;
	} clock_config;
} eth_esp32_emac_config_t;
typedef struct {
	int32_t phy_addr;
	int reset_gpio_num;
} eth_phy_config_t;
typedef struct {
	esp_eth_mac_t *mac;
	esp_eth_phy_t *phy;
} esp_eth_config_t;
#define ETH_MAC_DEFAULT_CONFIG() { 0 }
#define ETH_ESP32_EMAC_DEFAULT_CONFIG() { { 23, 18 }, { { EMAC_CLK_EXT_IN, 0 } } }
#define ETH_PHY_DEFAULT_CONFIG() { -1, 5 }
#define ETH_DEFAULT_CONFIG(macObject, phyObject) { .mac = macObject, .phy = phyObject }

typedef enum { ETH_CMD_S_MAC_ADDR, ETH_CMD_S_PROMISCUOUS, ETH_CMD_G_SPEED, ETH_CMD_G_DUPLEX_MODE } esp_eth_io_cmd_t;
typedef enum { ETH_SPEED_10M, ETH_SPEED_100M } eth_speed_t;
typedef enum { ETH_DUPLEX_HALF, ETH_DUPLEX_FULL } eth_duplex_t;

esp_eth_mac_t *esp_eth_mac_new_esp32(const eth_esp32_emac_config_t *emac, const eth_mac_config_t *mac);
esp_eth_phy_t *esp_eth_phy_new_generic(const eth_phy_config_t *config);
esp_err_t esp_eth_driver_install(const esp_eth_config_t *config, esp_eth_handle_t *handle);
esp_err_t esp_eth_driver_uninstall(esp_eth_handle_t handle);
esp_err_t esp_eth_update_input_path(
	esp_eth_handle_t handle, esp_err_t (*input)(esp_eth_handle_t, uint8_t *, uint32_t, void *), void *context);
esp_err_t esp_eth_start(esp_eth_handle_t handle);
esp_err_t esp_eth_stop(esp_eth_handle_t handle);
esp_err_t esp_eth_transmit(esp_eth_handle_t handle, void *frame, size_t length);
esp_err_t esp_eth_ioctl(esp_eth_handle_t handle, esp_eth_io_cmd_t command, void *data);

typedef const char *esp_event_base_t;
typedef void *esp_event_handler_instance_t;
extern esp_event_base_t ETH_EVENT;
enum { ETHERNET_EVENT_START, ETHERNET_EVENT_STOP, ETHERNET_EVENT_CONNECTED, ETHERNET_EVENT_DISCONNECTED };
enum { ESP_EVENT_ANY_ID = -1 };
esp_err_t esp_event_loop_create_default(void);
esp_err_t esp_event_handler_instance_register(
	esp_event_base_t base, int32_t event, void (*handler)(void *, esp_event_base_t, int32_t, void *), void *context,
	esp_event_handler_instance_t *instance);
esp_err_t esp_event_handler_instance_unregister(esp_event_base_t base, int32_t event, esp_event_handler_instance_t instance);

enum { ESP_MAC_ETH = 3 };
esp_err_t esp_read_mac(uint8_t *mac, int type);

enum { GPIO_MODE_OUTPUT = 2, GPIO_PULLUP_ONLY = 0 };
esp_err_t gpio_reset_pin(int pin);
esp_err_t gpio_set_direction(int pin, int mode);
esp_err_t gpio_set_level(int pin, uint32_t level);
esp_err_t gpio_set_pull_mode(int pin, int mode);

#define pdMS_TO_TICKS(ms) ((ms) / 10)
void vTaskDelay(uint32_t ticks);

#endif

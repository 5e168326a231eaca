/**
 * The SDK's DNS-SD by itself, as its example has it but for updateTXT(): that reschedules a timer inside its own call with two
 * different times, of which the SDK's timers on Linux make two, and the program dies when it is cleared.
 */
const dnssd = new (device.network.dnssd.io)(device.network.dnssd);

dnssd.claim({
  host: "a-server",
  onReady: () => trace("a-server claimed\n"),
  onError: () => trace("a-server is somebody else's\n"),
});
dnssd.advertise({ serviceType: "_http._tcp", name: "419 Web Server", host: "a-server", port: 8080, txt: new Map([["home", "/index.html"]]) });
dnssd.discover({
  serviceType: "_airplay._tcp",
  onFound(service) {
    trace(`Found: "${service.name}" on ${service.host} @ ${service.address}:${service.port}\n`);
    for (const [key, value] of service.txt ?? []) trace(`  ${key}:${value}\n`);
  },
});

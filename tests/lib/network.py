"""Hosts with addresses of their own, in network namespaces, with links that can be cut."""

import os
import shutil
import subprocess

SUBNET = "10.77.0."


def run(*arguments):
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, "%s: %s" % (" ".join(arguments), done.stderr)
    return done.stdout


def obstacle():
    """Why there can be no network here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "iptables", "nsenter"):
        if shutil.which(tool) is None:
            return "network namespaces need %s" % tool
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if done.returncode != 0:
        return "this machine allows no network namespaces"
    return None


class Host:
    """A network namespace with one interface. Everything given `host=` runs in here."""

    def __init__(self, namespace, name, address):
        self.namespace = namespace
        self.name = name
        self.address = address

    def prefix(self):
        """What to put before a command to run it here; the pid stays that of the command."""
        return ["nsenter", "--net=/run/netns/" + self.namespace]

    def drop(self, direction="both", peer=None):
        """Silently loses packets from now on: "in", "out" or "both"; those of all other hosts, or of
        one `peer`. Open connections hang, nothing is refused; what is on this host still meets."""
        for chain, option, interface in self._chains(direction):
            match = [option, peer.address] if peer else [interface, "eth0"]
            self._iptables("-A", chain, *match, "-j", "DROP")

    def reject(self, peer=None):
        """Refuses what comes in, with a TCP reset."""
        match = ["-s", peer.address] if peer else []
        rule = ["-p", "tcp", *match, "-j", "REJECT", "--reject-with", "tcp-reset"]
        self._iptables("-A", "INPUT", *rule)

    def heal(self):
        """Undoes all drop and reject."""
        self._iptables("-F")

    def _chains(self, direction):
        chains = {"in": [("INPUT", "-s", "-i")], "out": [("OUTPUT", "-d", "-o")]}
        return chains.get(direction) or chains["in"] + chains["out"]

    def _iptables(self, *arguments):
        run(*self.prefix(), "iptables", "-w", *arguments)


class Network:
    """A switch, in a namespace of its own, that joins hosts; nothing of it shows outside."""

    def __init__(self, tag):
        self._tag = "lw-" + tag
        self._namespaces = []
        self._switch = self._add_namespace("switch")
        self._ip(self._switch, "link", "add", "switch", "type", "bridge")
        self._ip(self._switch, "link", "set", "switch", "up")

    def host(self, name):
        """Adds a host; its address is reachable from all others at once."""
        number = len(self._namespaces)
        namespace = self._add_namespace(name)
        port = "port%d" % number
        self._ip(
            self._switch, "link", "add", port, "type", "veth", "peer", "eth0", "netns", namespace
        )
        self._ip(self._switch, "link", "set", port, "master", "switch")
        self._ip(self._switch, "link", "set", port, "up")
        address = SUBNET + str(number)
        self._ip(namespace, "address", "add", address + "/24", "dev", "eth0")
        self._ip(namespace, "link", "set", "lo", "up")
        self._ip(namespace, "link", "set", "eth0", "up")
        return Host(namespace, name, address)

    def close(self):
        for namespace in reversed(self._namespaces):
            run("ip", "netns", "delete", namespace)
        self._namespaces = []

    def _add_namespace(self, name):
        namespace = "%s-%s" % (self._tag, name)
        run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        return namespace

    @staticmethod
    def _ip(namespace, *arguments):
        run("ip", "-n", namespace, *arguments)

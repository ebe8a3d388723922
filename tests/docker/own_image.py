"""What docker/README.md says for an image of one's own: leaderwrap, copied into a base that has
nothing of its libraries, does all it can do."""

import os
import pathlib
import re
import shutil
import tempfile

from tests.docker import engine as engines
from tests.docker.engine import ROOT, run
from tests.docker.scenes import expect
from tests.lib import wait_until
from tests.lib.certificates import Authority

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "leaderwrap-lab-own"
FILES = ("bin/leaderwrap", "lib/leaderwrap/leaderwrap-tls.so")
OF_LIBC = ("linux-vdso", "libc.so", "ld-linux")

# Both in bash, which every Debian has.
SAY_TOKEN = 'echo "token $LEADERWRAP_TOKEN"'
ASK_LEADER = r"""exec 3<>/dev/tcp/127.0.0.1/8080
printf 'GET /leader HTTP/1.0\r\n\r\n' >&3
head -n 1 <&3"""


class Server:
    """A Redis in a container without a network: on a socket in `folder`, and with TLS on the
    loopback, which others can share."""

    def __init__(self, folder):
        self.name = "lwtest%d-own-redis" % os.getpid()
        self.folder = folder
        self.mount = ["--volume", "%s:/shared" % folder]
        authority = Authority(folder)
        certificate, key = authority.issue("redis", "DNS:localhost")
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        files = {"cert": certificate, "key": key, "ca-cert": authority.path}
        self.authority = self._inside(authority.path)
        self.options = ["--port", "0", "--unixsocket", "/shared/redis.sock"]
        self.options += [
            "--unixsocketperm",
            "777",
            "--tls-port",
            "6380",
            "--tls-auth-clients",
            "no",
        ]
        for name, path in files.items():
            self.options += ["--tls-%s-file" % name, self._inside(path)]

    def _inside(self, path):
        return "/shared/%s" % path.relative_to(self.folder)

    def __enter__(self):
        image = os.environ.get("REDIS_IMAGE", engines.OFFICIAL_REDIS)
        container = ["docker", "run", "--detach", "--name", self.name, "--network", "none"]
        try:
            run([*container, *self.mount, image, "redis-server", *self.options])
            wait_until((self.folder / "redis.sock").exists, what="redis to listen")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        engines.succeeds(["docker", "rm", "--force", "--volumes", self.name])


def inside(server, *command):
    """Runs a command in the image, beside the server."""
    network = ["--network", "container:" + server.name]
    return run(["docker", "run", "--rm", *network, *server.mount, IMAGE, *command])


def check_libraries(server):
    """Returns the version of glibc that is needed; README says the same."""
    versions = []
    for file in FILES:
        said = inside(server, "ldd", "/usr/local/" + file)
        strangers = [line for line in said.splitlines() if not any(w in line for w in OF_LIBC)]
        expect(not strangers, "%s needs more than libc: %s" % (file, strangers))
        inside(server, "cp", "/usr/local/" + file, "/shared/copy")
        content = (server.folder / "copy").read_bytes()
        versions += re.findall(rb"GLIBC_2\.(\d+)", content)
    needed = "2.%d" % max(map(int, versions))
    said = re.search(r"glibc (2\.\d+) or newer", (ROOT / "docker/README.md").read_text()).group(1)
    expect(needed == said, "glibc %s is needed, not %s" % (needed, said))
    return needed


def own_image(engine):
    """an image that has only copied leaderwrap: a lease, --http and rediss://"""
    engines.build(engine, HERE / "Dockerfile.own", IMAGE)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lw-own-"))
    folder.chmod(0o777)
    leaderwrap = ["leaderwrap", "--key", "own", "--assume-fresh", "--redis"]
    local = [*leaderwrap, "unix:///shared/redis.sock"]
    secure = [*leaderwrap, "rediss://localhost:6380", "--cacert"]
    try:
        with Server(folder) as server:
            needed = check_libraries(server)
            inside(server, "leaderwrap", "--version")
            said = inside(server, *local, "--", "bash", "-c", SAY_TOKEN)
            expect(re.search("^token 1", said, re.MULTILINE), said)
            said = inside(
                server, *local, "--http", "127.0.0.1:8080", "--", "bash", "-c", ASK_LEADER
            )
            expect("HTTP/1.1 200" in said, said)
            said = inside(server, *secure, server.authority, "--", "bash", "-c", SAY_TOKEN)
            expect(re.search("^token 1", said, re.MULTILINE), said)
    finally:
        engines.succeeds(["docker", "rmi", IMAGE])
        shutil.rmtree(folder)
    return "needs glibc %s" % needed


own_image.title = own_image.__doc__

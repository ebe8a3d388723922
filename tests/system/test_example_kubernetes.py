"""The manifests of examples/kubernetes: they have no field that the API does not know, their parts
agree, and what they start is started here, with its probes and its hook."""

import http.client
import http.server
import json
import re
import ssl
import subprocess
import threading

import pytest
import yaml

from tests.lib import PATIENCE_S, programs, wait_until
from tests.lib.certificates import Authority
from tests.lib.programs import ROOT
from tests.lib.redis import free_port

EXAMPLE = ROOT / "examples" / "kubernetes"
MANIFESTS = sorted(EXAMPLE.glob("*.yaml"))
MODELS = {
    "ConfigMap": "V1ConfigMap",
    "CronJob": "V1CronJob",
    "Deployment": "V1Deployment",
    "EndpointSlice": "V1EndpointSlice",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Service": "V1Service",
    "ServiceAccount": "V1ServiceAccount",
}
RELEASE_S = 4


def documents(*paths):
    return [each for path in paths or MANIFESTS for each in yaml.safe_load_all(path.read_text())]


def one(kind, name):
    found = [d for d in documents() if (d["kind"], d["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, (kind, name)
    return found[0]


def pods():
    """{name: pod template}"""
    found = {}
    for each in documents():
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            found[each["metadata"]["name"]] = spec["template"]
    return found


def container(name):
    (only,) = pods()[name]["spec"]["containers"]
    return only


# ---- the schema, as the API's own description has it ----


def faults(value, kind, where):
    """What of a value is not as its type is described, as sentences."""
    client = pytest.importorskip("kubernetes.client")
    inner = re.fullmatch(r"(list|dict)[\[(](?:str, *)?(.*)[\])]", kind)
    if inner:
        outer = {"list": list, "dict": dict}[inner[1]]
        if not isinstance(value, outer):
            return ["%s is no %s" % (where, inner[1])]
        pairs = enumerate(value) if outer is list else value.items()
        return [f for at, each in pairs for f in faults(each, inner[2], "%s[%s]" % (where, at))]
    if kind == "object":
        return [] if isinstance(value, (str, int)) else ["%s is neither text nor number" % where]
    plain = {"str": str, "int": int, "bool": bool}.get(kind)
    if plain:
        return [] if type(value) is plain else ["%s is no %s" % (where, kind)]
    model = getattr(client, kind)
    names = {outside: inside for inside, outside in model.attribute_map.items()}
    if not isinstance(value, dict):
        return ["%s is no %s" % (where, kind)]
    found = ["%s has no %s" % (kind, name) for name in value if name not in names]
    known = {name: each for name, each in value.items() if name in names}
    for name, each in known.items():
        found += faults(each, model.openapi_types[names[name]], "%s.%s" % (where, name))
    try:
        model(**{names[name]: each for name, each in known.items()})
    except ValueError as error:  # what is required, or not among the values there are
        found.append("%s: %s" % (where, error))
    return found


def manifest_faults(document):
    return faults(document, MODELS[document["kind"]], document["kind"])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_has_only_what_the_api_knows(path):
    versions = {
        "apps/v1": ("Deployment",),
        "batch/v1": ("CronJob",),
        "discovery.k8s.io/v1": ("EndpointSlice",),
        "policy/v1": ("PodDisruptionBudget",),
        "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
        "v1": ("Service", "ServiceAccount"),
    }
    for document in documents(path):
        assert document["kind"] in versions[document["apiVersion"]]
        assert manifest_faults(document) == []


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda d: d["spec"].update(replica=3), "V1DeploymentSpec has no replica"),
        (lambda d: d["spec"].update(replicas="3"), "Deployment.spec.replicas is no int"),
        (lambda d: d["spec"].pop("selector"), "`selector`"),
        (
            lambda d: d["spec"]["template"]["spec"]["containers"][0]["livenessProbe"].update(x=1),
            "V1Probe has no x",
        ),
    ],
)
def test_a_mistake_in_a_manifest_would_be_seen(change, fault):
    document = one("Deployment", "myserver")
    change(document)
    assert fault in "\n".join(manifest_faults(document))


# ---- what has to agree ----


@pytest.mark.parametrize("name", pods())
def test_no_pod_has_more_rights_than_it_needs(name):
    spec = pods()[name]["spec"]
    whole, own = spec["securityContext"], container(name)["securityContext"]
    assert whole["runAsNonRoot"] and whole["runAsUser"] > 0
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    # No token where there is nothing to do with it.
    assert spec.get("serviceAccountName") or spec["automountServiceAccountToken"] is False
    assert set(container(name)["resources"]["requests"]) == {"cpu", "memory"}


@pytest.mark.parametrize("name", pods())
def test_mounts_have_volumes_and_secrets_one_name(name):
    spec = pods()[name]["spec"]
    mounts = container(name)["volumeMounts"]
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in spec["volumes"]}
    secrets = [v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v]
    assert set(secrets) <= {"redis"}
    variables = {e["name"]: e.get("value") for e in container(name)["env"]}
    if secrets:
        assert variables["LEADERWRAP_PASSWORD_FILE"] == mounts[0]["mountPath"] + "/password"
        address = re.fullmatch(r"redis://([a-z]+):(\d+)/0", variables["REDIS_URL"])
        assert one("Service", address[1])["spec"]["ports"][0]["port"] == int(address[2])


@pytest.mark.parametrize("name", ["myserver", "newsletter"])
def test_a_pod_has_the_time_for_a_clean_stop(name):
    variables = {e["name"]: e.get("value") for e in container(name)["env"]}
    grace_s = int(re.fullmatch(r"(\d+)s", variables["LEADERWRAP_GRACE"])[1])
    assert pods()[name]["spec"]["terminationGracePeriodSeconds"] > 2 * grace_s + RELEASE_S


def test_the_objects_of_the_server_find_each_other():
    labels = pods()["myserver"]["metadata"]["labels"]
    deployment = one("Deployment", "myserver")["spec"]
    spread = pods()["myserver"]["spec"]["topologySpreadConstraints"]
    budget = one("PodDisruptionBudget", "myserver")["spec"]
    selectors = [deployment["selector"], budget["selector"], spread[0]["labelSelector"]]
    assert [selector["matchLabels"] for selector in selectors] == [labels] * 3
    # The budget lets a drain go on, and a roll-out has somebody left.
    assert 0 < budget["maxUnavailable"] < deployment["replicas"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] < deployment["replicas"]
    ports = {port["name"]: port["containerPort"] for port in container("myserver")["ports"]}
    service = one("Service", "myserver")
    assert "selector" not in service["spec"], "the cluster would make endpoints of its own"
    endpoints = one("EndpointSlice", "myserver-leader")
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == "myserver"
    assert endpoints["ports"] == [
        {"name": service["spec"]["ports"][0]["name"], "port": ports["web"]}
    ]
    assert service["spec"]["ports"][0]["targetPort"] == ports["web"]
    account = pods()["myserver"]["spec"]["serviceAccountName"]
    binding = one("RoleBinding", "myserver")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account}]
    assert one(binding["roleRef"]["kind"], binding["roleRef"]["name"]) and one(
        "ServiceAccount", account
    )


def test_the_hold_of_the_job_outlasts_a_late_start():
    hold_s = 60 * int(re.search(r"--hold=(\d+)m", " ".join(container("newsletter")["args"]))[1])
    assert one("CronJob", "newsletter")["spec"]["startingDeadlineSeconds"] < hold_s < 24 * 3600


def test_the_readme_applies_what_is_there():
    text = (EXAMPLE / "README.md").read_text()
    assert {path.name for path in MANIFESTS} == set(re.findall(r"[a-z-]+\.yaml", text))


# ---- what they start ----


class Api(http.server.BaseHTTPRequestHandler):
    """The part of a Kubernetes API that the hook asks: notes what comes, and refuses the first."""

    def do_PATCH(self):
        length = int(self.headers["Content-Length"])
        self.server.requests.append((self.path, dict(self.headers), self.rfile.read(length)))
        self.send_response(503 if len(self.server.requests) == 1 else 200)
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.fixture
def cluster(tmp_path):
    """That API, with a certificate, and a service account's folder."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("api", "IP:127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.requests = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(authority.path.read_bytes())
    (account / "token").write_text("the-token")
    (account / "namespace").write_text("some")
    server.variables = {
        "ACCOUNT": str(account),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(server.server_address[1]),
    }
    yield server
    server.shutdown()
    server.server_close()


class Pod:
    """What the container of a manifest runs, with its environment, on ports of its own. The folders of
    the image and the address of Redis are others here, and nothing else is."""

    def __init__(self, arena, redis, template, name, **more):
        self.ports = {"8008": free_port(), "8080": free_port()}
        password = arena.folder / "password"
        if not password.exists():
            password.write_text("secret\n")
            password.chmod(0o600)
        built = programs.leaderwrap_binary().parent
        given = {
            "metadata.name": name,
            "status.podIP": "10.1.2.3",
            "redis://redis:6379/0": "redis://127.0.0.1:%d/0" % redis.port,
            "/run/secrets/redis/password": str(password),
        }
        values = {}
        for variable in template["env"]:
            source = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            value = source or variable["value"]
            values[variable["name"]] = given.get(value, value)
        words = template["command"] + template["args"]
        assert words[0] == "leaderwrap"
        path = "%s:%s:/usr/bin:/bin" % (built, EXAMPLE)
        self.log = arena.folder / (name + ".log")
        with open(self.log, "wb") as log:
            self.process = arena.spawn(
                [*arena.leaderwrap_command(), *map(self._here, words[1:])],
                env={**values, "PATH": path, **more},
                stdout=log,
                stderr=log,
            )

    def _here(self, word):
        for port, here in self.ports.items():
            word = word.replace("0.0.0.0:" + port, "127.0.0.1:%d" % here)
        return word

    def ask(self, path, port="8008"):
        """The status of a GET; None where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionError:
            return None
        finally:
            connection.close()


@pytest.mark.skipif(
    not (programs.leaderwrap_binary().parent / "leaderwrap-http.so").exists(),
    reason="built without HTTP",
)
def test_the_pods_of_the_deployment_are_ready_and_one_of_them_leads(arena, cluster):
    redis = arena.redis("requirepass secret")
    template = container("myserver")
    more = {**cluster.variables, "LEADERWRAP_ASSUME_FRESH": "1"}
    names = [
        "myserver-%d" % number
        for number in range(one("Deployment", "myserver")["spec"]["replicas"])
    ]
    candidates = {name: Pod(arena, redis, template, name, **more) for name in names}
    ports = {port["name"]: str(port["containerPort"]) for port in template["ports"]}
    for probe in ("livenessProbe", "readinessProbe"):
        asked = template[probe]["httpGet"]
        for each in candidates.values():
            wait_until(
                lambda: each.ask(asked["path"], ports[asked["port"]]) == 200,
                what=each.log.read_text,
            )
    leading = [name for name, each in candidates.items() if each.ask("/leader") == 200]
    assert len(leading) == 1 and redis.command("GET", "leaderwrap:myserver").startswith(leading[0])
    leader = candidates.pop(leading[0])
    wait_until(lambda: leader.ask("/", ports["web"]) == 200, what=leader.log.read_text)
    assert not any(each.ask("/", ports["web"]) for each in candidates.values())
    # Without an answer of Redis no pod is restarted.
    redis.freeze()
    assert leader.ask(template["livenessProbe"]["httpGet"]["path"]) == 200
    redis.thaw()
    leader.process.terminate()
    assert leader.process.wait(pods()["myserver"]["spec"]["terminationGracePeriodSeconds"]) == 0
    wait_until(lambda: any(each.ask("/leader") == 200 for each in candidates.values()))
    # The first request was refused, and tried again; the next leader's is the third.
    wait_until(lambda: len(cluster.requests) == 3)
    for each in candidates.values():
        each.process.terminate()
        each.process.wait(PATIENCE_S)
    log = "".join(each.log.read_text() for each in [leader, *candidates.values()])
    assert "insecure" not in log and "secret" not in log


def test_the_hook_moves_the_service_and_does_no_more_than_its_role_allows(arena, cluster):
    hook = next(w for w in container("myserver")["args"] if w.startswith("--on-acquire="))
    program, name = hook.split("=")[1].split()
    variables = {**arena.environment(), **cluster.variables, "POD_IP": "10.1.2.3"}
    subprocess.run([EXAMPLE / program, name], env=variables, check=True, timeout=PATIENCE_S)
    path, headers, body = cluster.requests[-1]
    assert len(cluster.requests) == 2, "it does not try again"
    assert headers["Authorization"] == "Bearer the-token"
    (rule,) = one("Role", "myserver")["rules"]
    (group,), (resource,), (allowed,) = rule["apiGroups"], rule["resources"], rule["resourceNames"]
    assert path == "/apis/%s/v1/namespaces/some/%s/%s" % (group, resource, allowed)
    assert rule["verbs"] == ["patch"] and headers["Content-Type"] == "application/merge-patch+json"
    moved = {**one("EndpointSlice", allowed), **json.loads(body)}
    assert manifest_faults(moved) == []
    assert [each["addresses"] for each in moved["endpoints"]] == [["10.1.2.3"]]


def test_the_job_runs_once_in_all_clusters(arena):
    redis = arena.redis("requirepass secret")
    clusters = [
        Pod(arena, redis, container("newsletter"), "newsletter-%d" % n, LEADERWRAP_ASSUME_FRESH="1")
        for n in range(3)
    ]
    assert [each.process.wait(PATIENCE_S) for each in clusters] == [0] * 3
    said = "".join(each.log.read_text() for each in clusters)
    assert said == "the newsletter is sent\n"

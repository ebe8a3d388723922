"""A small certificate authority, by the openssl program."""

import subprocess


class Authority:
    """Makes certificates and their keys in a folder; `path` is its own certificate."""

    def __init__(self, folder, name="authority"):
        self.folder = folder / name
        self.folder.mkdir()
        self.path = self.folder / "ca.crt"
        self._key = self.folder / "ca.key"
        self._count = 0
        self._make_key(self._key)
        days = ("-days", "10")
        self._openssl("req", "-x509", "-key", self._key, "-subj", "/CN=%s" % name, *days)(self.path)

    def issue(self, name, *alternatives, days=5, start=None):
        """(certificate, key) for a subject and its alternative names ("DNS:localhost", ...); with
        `start` and `days` as openssl ca takes them for one that is not good now."""
        self._count += 1
        base = self.folder / ("%s-%d" % (name, self._count))
        key, request, certificate = (base.with_suffix(end) for end in (".key", ".csr", ".crt"))
        self._make_key(key)
        self._openssl("req", "-new", "-key", key, "-subj", "/CN=%s" % name)(request)
        extensions = base.with_suffix(".ext")
        extensions.write_text(
            "subjectAltName=%s\n" % ",".join(alternatives) if alternatives else ""
        )
        if start is None:
            when = ["-days", str(days)]
            own = ["-CA", self.path, "-CAkey", self._key, "-CAcreateserial"]
            self._openssl("x509", "-req", "-in", request, *own, *when, "-extfile", extensions)(
                certificate
            )
        else:
            self._issue_at(request, extensions, certificate, *start)
        return certificate, key

    def _issue_at(self, request, extensions, certificate, begin, end):
        """Between two times as "20200101000000Z"."""
        (self.folder / "index").write_text("")
        config = self.folder / "ca.cnf"
        config.write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nnew_certs_dir=%s\nrand_serial=yes\n"
            "default_md=sha256\npolicy=p\nemail_in_dn=no\n[p]\ncommonName=supplied\n"
            % (self.folder, self.folder)
        )
        who = ["-config", config, "-cert", self.path, "-keyfile", self._key]
        when = ["-startdate", begin, "-enddate", end]
        self._openssl(
            "ca", "-batch", "-notext", *who, *when, "-in", request, "-extfile", extensions
        )(certificate)

    def _make_key(self, path):
        self._openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout")(path)
        path.chmod(0o600)

    @staticmethod
    def _openssl(*arguments):
        def into(path):
            command = ["openssl", *map(str, arguments), "-out", str(path)]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, "%s: %s" % (" ".join(command), done.stderr)

        return into

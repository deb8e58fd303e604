"""Third-party software that stands in the lab as targets which nobody here wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["SOFTWARE", "Software"]

_RTSP_SERVER: Final = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_service("554")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=1/1 ! "
                   "jpegenc ! rtpjpegpay name=pay0 )")
server.get_mount_points().add_factory("/test", factory)
server.attach(None)
GLib.MainLoop().run()
"""

_IPYCAM: Final = """
import sys, time
from ipycam import CameraConfig, IPCamera
camera = IPCamera(CameraConfig.load(sys.argv[1]))
assert camera.start()
time.sleep(86400)
"""


@dataclass(frozen=True, slots=True)
class Software:
    """One program: `tool` must be on the PATH, `prepare` writes its files and gives its command.

    `ready` is the TCP port it listens on when it has started (None for those with none).
    """

    name: str
    mac: str
    tool: str
    prepare: Callable[[Path, str], list[str]]
    ready: int | None = None


def _nginx(folder: Path, _address: str) -> list[str]:
    (folder / "index.html").write_text("<title>Welcome to nginx!</title>")
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;"
        "events { worker_connections 64; }"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;"
        f" fastcgi_temp_path {folder}/fastcgi; scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi;"
        f" server {{ listen 80; root {folder}; }} }}"
    )
    return [
        "nginx",
        "-p",
        str(folder),
        "-c",
        str(config),
        "-e",
        str(folder / "error.log"),
        "-g",
        "user root;",
    ]


def _lighttpd(folder: Path, _address: str) -> list[str]:
    (folder / "index.html").write_text("<title>It works</title>")
    config = folder / "lighttpd.conf"
    config.write_text(
        f'server.document-root = "{folder}"\nserver.port = 80\nindex-file.names = ("index.html")\n'
    )
    return ["lighttpd", "-D", "-f", str(config)]


def _avahi(folder: Path, _address: str) -> list[str]:
    config = folder / "avahi.conf"
    config.write_text(
        "[server]\nhost-name=workshop-pi\nenable-dbus=no\nuse-ipv6=yes\n"
        "[publish]\npublish-workstation=yes\npublish-hinfo=no\n"
    )
    command = f"avahi-daemon --no-drop-root --no-chroot --no-rlimits -f {config}"
    # Its run-time folder cannot be configured: it gets one that only this process sees.
    mounts = "mkdir -p /run/avahi-daemon; mount -t tmpfs none /run/avahi-daemon"
    return ["unshare", "--mount", "sh", "-c", f"{mounts}; exec {command}"]


def _wsdd(_folder: Path, _address: str) -> list[str]:
    return ["wsdd", "-i", "eth0", "-n", "FILESERVER", "-w", "WORKGROUP"]


def _minidlna(folder: Path, _address: str) -> list[str]:
    config = folder / "minidlna.conf"
    config.write_text(
        f"port=8200\nmedia_dir={folder}\ndb_dir={folder}\nlog_dir={folder}\nfriendly_name=Films\n"
        "network_interface=eth0\nnotify_interval=30\ninotify=no\n"
    )
    return ["minidlnad", "-S", "-f", str(config), "-P", str(folder / "minidlna.pid")]


def _rtsp_server(_folder: Path, _address: str) -> list[str]:
    # Its bindings are Debian's, for Debian's own interpreter.
    return ["/usr/bin/python3", "-c", _RTSP_SERVER]


def _ipycam(folder: Path, address: str) -> list[str]:
    config = folder / "camera.json"
    config.write_text(json.dumps({"local_ip": address, "onvif_port": 8080}))
    return [sys.executable, "-c", _IPYCAM, str(config)]


SOFTWARE: Final = (
    Software("avahi", "b8:27:eb:1f:60:01", "avahi-daemon", _avahi),
    Software("nginx", "b8:27:eb:1f:60:02", "nginx", _nginx, 80),
    Software("lighttpd", "b8:27:eb:1f:60:03", "lighttpd", _lighttpd, 80),
    Software("ipycam", "b8:27:eb:1f:60:04", "python3", _ipycam, 8080),
    Software("gst-rtsp-server", "b8:27:eb:1f:60:05", "/usr/bin/python3", _rtsp_server, 554),
    Software("wsdd", "b8:27:eb:1f:60:06", "wsdd", _wsdd, 5357),
    Software("minidlna", "b8:27:eb:1f:60:07", "minidlnad", _minidlna, 8200),
)
"""MACs are Raspberry Pi's: a small computer that runs such software is no camera."""

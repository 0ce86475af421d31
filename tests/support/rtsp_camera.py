#!/usr/bin/python3
"""A real RTSP camera for tests and the demo: rtsp_camera.py PORT [USER PASSWORD]. It prints `ready PORT`.

It needs Debian's GStreamer RTSP server and its Python binding, which only the system's Python can import.
"""

import argparse
import ctypes
import signal

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PR_SET_PDEATHSIG = 1
VIDEO = (
    "videotestsrc is-live=true pattern={pattern} ! video/x-raw,width=320,height=240,framerate={rate}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=1"
)
AUDIO = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
AAC = (
    "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=16000,channels=1 ! voaacenc ! aacparse "
    "! rtpmp4gpay name=pay1 pt=97"
)


def serve(address: str, port: int, user: str, password: str) -> None:
    """Serve streams as a hikvision and a dahua camera do, and others, until SIGTERM.

    `audio` and `aac` have G.711 and AAC audio. `own` is encoded for each reader, and shows a ball that the clock moves.
    """
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(address)
    server.set_service(str(port))
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
    for mount, launch in (
        ("/Streaming/Channels/101", VIDEO.format(pattern="smpte", rate=15)),
        ("/Streaming/Channels/102", VIDEO.format(pattern="snow", rate=15)),
        ("/cam/realmonitor", VIDEO.format(pattern="ball", rate=15)),
        ("/lively", VIDEO.format(pattern="snow", rate=25).replace("x264enc", "x264enc bitrate=4096")),
        ("/own", VIDEO.format(pattern="ball animation-mode=wall-time", rate=15)),
        ("/audio", f"{VIDEO.format(pattern='smpte', rate=15)} {AUDIO}"),
        ("/aac", f"{VIDEO.format(pattern='smpte', rate=15)} {AAC}"),
    ):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(mount != "/own")
        # A camera's stream can't be rewound, but the test source says that it can. Each PLAY with a Range, which ffmpeg
        # sends, would rewind the stream of all readers, and a second one during a rewind aborts the server. A stream
        # that publishes its clock can't be rewound; the library has no other switch for that.
        factory.set_publish_clock_mode(GstRtspServer.RTSPPublishClockMode.CLOCK_AND_OFFSET)
        if user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(mount, factory)
    if not server.attach(None):
        raise SystemExit(f"no RTSP server on port {port}: is it taken?")
    print("ready", server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    loop.run()


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("port", type=int, help="0 takes any free port")
    parser.add_argument("user", nargs="?", default="")
    parser.add_argument("password", nargs="?", default="")
    arguments = parser.parse_args()
    serve(arguments.address, arguments.port, arguments.user, arguments.password)


if __name__ == "__main__":
    main()

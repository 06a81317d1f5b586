"""Where attention can be plugged into a network, and the surgery that does it: list_sockets, plug_in, doctor, unplug."""

from .build import Eased
from .doctor import Checkup, doctor
from .places import SOCKETS, Place
from .plug import list_sockets, plug_in, unplug
from .receipt import Receipt, SocketList

__all__ = ["SOCKETS", "Checkup", "Eased", "Place", "Receipt", "SocketList", "doctor", "list_sockets", "plug_in", "unplug"]

"""Where attention can be plugged into a network, and the surgery that does it: list_sockets, plug_in, unplug."""

from .build import Eased
from .places import SOCKETS, Place
from .plug import list_sockets, plug_in, unplug
from .receipt import Receipt, SocketList

__all__ = ["SOCKETS", "Eased", "Place", "Receipt", "SocketList", "list_sockets", "plug_in", "unplug"]

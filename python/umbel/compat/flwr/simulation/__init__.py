"""flwr.simulation: run_simulation() as Flower's scripts call it."""

from __future__ import annotations

from typing import Any, NoReturn

from umbel._errors import Unimplemented

from .._absent import names

__all__ = ["run_simulation", "start_simulation"]


def run_simulation(server_app: Any, client_app: Any, num_supernodes: int,
                   backend_name: str = "ray", backend_config: dict[str, Any] | None = None,
                   enable_tf_gpu_growth: bool = False, verbose_logging: bool = False) -> Any:
    """umbel.simulation.run_simulation(): what concerns Ray has no meaning here and is not used."""
    del backend_name, backend_config, enable_tf_gpu_growth, verbose_logging
    from umbel.simulation import run_simulation as run
    return run(server_app, client_app, num_supernodes)


def start_simulation(*args: Any, **kwargs: Any) -> NoReturn:
    """Not here: it ran clients without a ClientApp."""
    raise Unimplemented("flwr.simulation.start_simulation is not in Umbel: make a ClientApp of the "
                        "client_fn, a ServerApp of the strategy, and call run_simulation()")


__getattr__ = names(__name__, __all__)

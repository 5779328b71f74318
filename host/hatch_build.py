"""Build hook: puts Verilog and bitstreams into ordinary wheels; an editable install needs no copy."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class IncludeVerilog(BuildHookInterface):
    def initialize(self, version: str, build_data: dict) -> None:
        if version == "editable":
            return
        repository = Path(self.root).parent
        if not (repository / "rtl").is_dir():
            raise FileNotFoundError(f"{repository / 'rtl'}: build zeroskip from a checkout, with `pip install ./host`")
        build_data["force_include"][str(repository / "rtl")] = "zeroskip/_rtl"
        build_data["force_include"][str(repository / "hls")] = "zeroskip/_hls"
        build_data["force_include"][str(repository / "bitstreams")] = "zeroskip/_bitstreams"
        build_data["force_include"][str(repository / "LICENSE")] = "zeroskip/LICENSE"

# TensorRT 10 (bindings 10.16.1.11) for mypy: with what 11 removed. We call none of it; that a call would be refused for 11 is what the test shows.
from typing import ClassVar

import tensorrt_calls
from tensorrt_calls import (
    Dims as Dims,
    EngineInspector as EngineInspector,
    IBuilderConfig as IBuilderConfig,
    ICudaEngine as ICudaEngine,
    IExecutionContext as IExecutionContext,
    IHostMemory as IHostMemory,
    ILogger as ILogger,
    INetworkDefinition as INetworkDefinition,
    ITimingCache as ITimingCache,
    LayerInformationFormat as LayerInformationFormat,
    OnnxParser as OnnxParser,
    ParserError as ParserError,
    ProfilingVerbosity as ProfilingVerbosity,
    Runtime as Runtime,
)

__version__: str

class NetworkDefinitionCreationFlag(tensorrt_calls.NetworkDefinitionCreationFlag):
    EXPLICIT_BATCH: ClassVar[NetworkDefinitionCreationFlag]  # deprecated, ignored

class BuilderFlag(tensorrt_calls.BuilderFlag):
    FP16: ClassVar[BuilderFlag]
    BF16: ClassVar[BuilderFlag]
    INT8: ClassVar[BuilderFlag]
    FP8: ClassVar[BuilderFlag]
    OBEY_PRECISION_CONSTRAINTS: ClassVar[BuilderFlag]
    PREFER_PRECISION_CONSTRAINTS: ClassVar[BuilderFlag]

class Builder(tensorrt_calls.Builder):
    platform_has_fast_fp16: bool

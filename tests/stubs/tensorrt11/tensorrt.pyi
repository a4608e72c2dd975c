# TensorRT 11 (bindings 11.4.0.106) for mypy: networks are always strongly typed, STRONGLY_TYPED is deprecated and ignored, and of the precision flags TF32 is left.
# What it removed: docs.nvidia.com/deeplearning/tensorrt/latest/api/migration/tensorrt-10x-to-11x-python-api-reference.html
from tensorrt_calls import (
    Builder as Builder,
    BuilderFlag as BuilderFlag,
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
    NetworkDefinitionCreationFlag as NetworkDefinitionCreationFlag,
    OnnxParser as OnnxParser,
    ParserError as ParserError,
    ProfilingVerbosity as ProfilingVerbosity,
    Runtime as Runtime,
)

__version__: str

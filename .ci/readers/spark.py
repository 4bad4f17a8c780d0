"""A local Spark with the Iceberg runtime, and the pinned jars that it needs."""

import hashlib
import os
import subprocess
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from lake import Lake

# Group, artifact, version, SHA-256 of the jar.
JARS = (
    (
        "org.apache.iceberg",
        "iceberg-spark-runtime-3.5_2.12",
        "1.10.1",
        "39ea09e6c03550a300b9d9ab498949836d2d434e441da4c12a943a086e396940",
    ),
    (
        "org.xerial",
        "sqlite-jdbc",
        "3.53.1.0",
        "28aceecfcc9535645bd19fa988385703c7b89982c1506a6855f5942b4032eca6",
    ),
)


def fetch(folder: Path) -> list[Path]:
    """Puts the jars into folder, once, with the Ivy that Spark ships.

    A jar whose bytes are not the pinned ones is deleted and refused.
    """
    paths = []
    for group, artifact, version, digest in JARS:
        path = folder / f"{artifact}-{version}.jar"
        for _ in range(2):
            if path.exists():
                break
            _resolve(folder, group, artifact, version)
        if not path.exists():
            raise SystemExit(f"cannot fetch {group}:{artifact}:{version}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.unlink()
            raise SystemExit(f"{path.name} is not the pinned one: its SHA-256 differs")
        paths.append(path)
    return paths


def _resolve(folder: Path, *coordinates: str) -> None:
    shipped = Path(pyspark.__file__).parent / "jars"
    ivy = next(shipped.glob("ivy-*.jar"))
    subprocess.run(
        ["java", "-cp", str(ivy), "org.apache.ivy.Main", "-warn", "-m2compatible",
         "-notransitive", "-types", "jar", "-confs", "default",
         "-cache", str(folder / "ivy"), "-dependency", *coordinates,
         "-retrieve", str(folder / "[artifact]-[revision].[ext]")],
        check=False, stdout=subprocess.DEVNULL, timeout=300,
    )


def session(lake: Lake, jars: Path) -> SparkSession:
    """A session whose default catalog is the folder's, by JDBC."""
    os.environ["TZ"] = "UTC"  # Python's side renders timestamps in its own zone
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    name = f"spark.sql.catalog.{lake.catalog}"
    settings = {
        "spark.jars": ",".join(str(path) for path in fetch(jars)),
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "true",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.extensions":
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": lake.catalog,
        name: "org.apache.iceberg.spark.SparkCatalog",
        f"{name}.type": "jdbc",
        f"{name}.uri": f"jdbc:sqlite:{lake.database}",
        f"{name}.warehouse": str(lake.warehouse),
        f"{name}.cache-enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("second-reader")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()

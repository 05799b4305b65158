"""Maps: what a geographic information system opens.

outlines    labels on a grid → polygons that share their borders
earth_rings  rings on a grid → polygons in longitude and latitude: antimeridian, poles
class_raster, vector_files   the classes of a scene as a GeoTIFF or PNG, and as polygons
similarity  how near each place of a scene is to a query, as a GeoTIFF and as a picture
geojson     footprints and outlines as GeoJSON (RFC 7946)
geoparquet  the same, and an index's vectors, as GeoParquet 1.1
targets     files that may be written over
"""

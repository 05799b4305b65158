"""The archive in a browser, and the same over HTTP for programs: `rsir-tf web`.

question      what is asked, as the address bar holds it
house         one index, one model and what is remembered of them; everything that is asked goes through it
uploads       images that visitors brought, for a while
work          threads for what takes time, with a bound on how much waits
api           routes for programs, with an OpenAPI description; answers: what is found, as JSON, CSV, GeoJSON, a picture
access        who gets in; guard: what is refused before anything else sees it, and headers of every answer
limits        how much one visitor may ask
page          the page: fragments and side render its HTML, map_panel is its map
serving       starts the server
"""
